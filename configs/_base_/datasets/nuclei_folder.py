# Nuclei from the 2018 Data Science Bowl (BBBC038, CC0), in images of 256 to 360 px.
data_root = '{{$XCIT_MM_NUCLEI_ROOT:data/dsb2018_nuclei}}'
data_preparation = 'python {tools}/prepare_dataset.py nuclei --root {data_root}'
