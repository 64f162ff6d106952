import logging

import torch

# the exporter warns of each operator library that is not installed
logging.getLogger("torch.onnx").setLevel(logging.ERROR)
torch.set_num_threads(1)
