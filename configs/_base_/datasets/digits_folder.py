# Composed scenes of handwritten digits, 128 px: see xcit_mm/datasets/digits.py. The scenes are not augmented: colour,
# scale and position vary already, and a mirrored digit is no longer a digit.
data_root = 'data/digits'
data_preparation = 'python {tools}/prepare_dataset.py digits --root {data_root}'
