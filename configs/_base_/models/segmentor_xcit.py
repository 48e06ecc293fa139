# A segmentor with a small_12_p16 backbone and no heads. For other architectures, change arch, drop_path_rate and the
# head widths. Heads that use mmcv's compiled ops need channels_last=False.
model = dict(
    type='xcit_mm.inference.segmentor.BoundedEncoderDecoder',
    data_preprocessor=dict(
        type='SegDataPreProcessor',
        mean=[123.675, 116.28, 103.53],  # RGB, 0 … 255
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
        size=(512, 512),
        pad_val=0,
        seg_pad_val=255),
    backbone=dict(type='XCiT', arch='small_12_p16', drop_path_rate=0.05, channels_last=True),
    test_cfg=dict(mode='auto'))
