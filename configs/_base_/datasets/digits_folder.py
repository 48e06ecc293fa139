# Scenes of 128 px composed of handwritten digits (see xcit_mm/datasets/digits.py). The scenes are not augmented:
# colour, scale and position already vary, and a mirrored digit is no longer a digit.
data_root = 'data/digits'
data_preparation = 'python {tools}/prepare_dataset.py digits --root {data_root}'
