"""The processes that serve runs over gRPC."""
