// Pins Gateway API, whose definitions Traefik's proof hands to berth in place of a download.
module berth.dev/addon-binaries/gateway-api

go 1.26.0

require sigs.k8s.io/gateway-api v1.5.1
