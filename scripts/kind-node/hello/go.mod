module berth.dev/kind-node/hello

go 1.26.0
