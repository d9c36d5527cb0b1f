from fastbackprop._kernels.baseline_float32 import *  # noqa: F403
