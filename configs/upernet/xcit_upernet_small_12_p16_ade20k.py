_base_ = '../xcit_upernet_ade20k.py'
