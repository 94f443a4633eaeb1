"""A stand-in for AWS on one loopback port. It knows the APIs of AWS and none of its clients."""
