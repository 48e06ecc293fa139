# Composed scenes of handwritten digits, 128 px: see xcit_mm/datasets/digits.py. Colour, scale and place
# vary from scene to scene already, and a mirrored digit is no digit: nothing is augmented.
data_root = 'data/digits'
data_preparation = 'python {tools}/prepare_dataset.py digits --root {data_root}'
