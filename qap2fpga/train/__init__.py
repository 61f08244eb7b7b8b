# SPDX-License-Identifier: Apache-2.0
"""Training: data in, a quantized and pruned network out, one checkpoint per step of pruning.

    from qap2fpga.train import config
    from qap2fpga.train.run import run
    record = run(config.load(Path("run.yaml")), Path("runs/first"), print)

`config` says what to train, `data` loads and splits, `network` and `quantizers` compute, `prune` masks, `schedule`
plans, `loop` learns, `run` puts them together in a resumable folder, `output` makes one model file of it. The jets of
the example come from `jets`, their features from `features`; only `jets` needs `qap2fpga[simulate]`.
"""
