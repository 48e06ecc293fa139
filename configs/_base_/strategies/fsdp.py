# Weights, gradients and optimizer state are sharded across the GPUs; checkpoints are not sharded. Batch norms are not
# synchronised: only StrictRunner applies sync_bn.
strategy = dict(
    type='xcit_mm.training.fsdp.CorrectedFSDPStrategy',
    model_wrapper=dict(
        type='MMFullyShardedDataParallel', use_orig_params=True,
        auto_wrap_policy=dict(type='xcit_mm.training.fsdp.each_xcit_block')),
    state_dict_cfg=dict(
        state_dict_type='FULL_STATE_DICT',
        state_dict_config=dict(type='FullStateDictConfig', rank0_only=False, offload_to_cpu=False),
        optim_state_dict_config=dict(type='FullOptimStateDictConfig', rank0_only=False, offload_to_cpu=False)))
