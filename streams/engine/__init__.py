"""A partition-batch lane for Faust: one transaction per state partition and flush."""
