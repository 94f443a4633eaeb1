module berth.dev/kind-node/runc-bounded

go 1.26.0
