"""What PySpark 4.0 and later looks for to register the format `lakeflow_connect` by itself."""

try:
    from lakeflow_connect.spark import LakeflowSource as DefaultSource
except Exception:
    # One module of this kind that fails would keep PySpark from registering any.
    __all__ = []
else:
    __all__ = ["DefaultSource"]
