// Package dns stands in for lego's providers/dns, a list of some 200 DNS providers with as many
// SDKs behind them. Traefik asks it for certificates by DNS challenge, which no proof does.
package dns

import (
	"fmt"

	"github.com/go-acme/lego/v5/challenge"
)

// NewDNSChallengeProviderByName knows none.
func NewDNSChallengeProviderByName(name string) (challenge.Provider, error) {
	return nil, fmt.Errorf("built without DNS providers: %s", name)
}
