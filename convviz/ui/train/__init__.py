"""The Train page: a network learns while its curves, kernels and feature maps are watched."""
