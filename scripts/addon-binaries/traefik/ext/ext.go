// Package ext stands in for the folder with which Traefik's go.mod replaces
// github.com/traefik/traefik/dynamic/ext: the places where extensions add fields.
package ext

// HTTP adds nothing to the HTTP configuration.
type HTTP struct{}

// Router adds nothing to a router.
type Router struct{}
