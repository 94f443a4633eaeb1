// Pins lego, of which the build takes a copy without its DNS providers: see ../build.
module berth.dev/addon-binaries/lego

go 1.26.0

require github.com/go-acme/lego/v5 v5.3.1
