_base_ = '../xcit_sem_fpn_ade20k.py'
