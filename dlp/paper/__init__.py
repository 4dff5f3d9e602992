"""The DLP of the paper (ICML 2022), the object model, as another stage 1."""
