// Package consolidator reads the current factors of every application from Kafka: an example of a subscriber in Go.
// See docs/other-languages.md.
package consolidator

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"
)

// ErrSettings says that a setting cannot be used. Its message names the variable, never a secret.
var ErrSettings = errors.New("settings")

// Connection is how to reach Kafka. It is opaque, so that no secret is printed with it.
type Connection struct {
	options []kgo.Opt
	prefix  string
}

// FactorsTopic is the name of the topic with the current factors.
func (c Connection) FactorsTopic() string { return c.prefix + "factors" }

// ChangesTopic is the name of the journal.
func (c Connection) ChangesTopic() string { return c.prefix + "factor-changes" }

// ConnectionFromEnvironment takes the worker's own environment variables (docs/settings.md).
func ConnectionFromEnvironment() (Connection, error) {
	servers := os.Getenv("KAFKA_BOOTSTRAP_SERVERS")
	if servers == "" {
		return Connection{}, unusable("set KAFKA_BOOTSTRAP_SERVERS")
	}
	options := []kgo.Opt{kgo.SeedBrokers(strings.Split(servers, ",")...), kgo.ClientID("factor-consolidator-go")}
	protocol := variable("KAFKA_SECURITY_PROTOCOL", "PLAINTEXT")
	if strings.HasPrefix(protocol, "SASL_") {
		mechanism, err := login()
		if err != nil {
			return Connection{}, err
		}
		options = append(options, kgo.SASL(mechanism))
	}
	if strings.HasSuffix(protocol, "SSL") {
		config, err := tlsConfig()
		if err != nil {
			return Connection{}, err
		}
		options = append(options, kgo.DialTLSConfig(config))
	}
	return Connection{options, os.Getenv("CONSOLIDATOR_TOPIC_PREFIX")}, nil
}

func login() (sasl.Mechanism, error) {
	password, err := secret("KAFKA_SASL_PASSWORD")
	if err != nil {
		return nil, err
	}
	user := os.Getenv("KAFKA_SASL_USERNAME")
	if user == "" || password == "" {
		return nil, unusable("set KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD")
	}
	switch mechanism := variable("KAFKA_SASL_MECHANISM", "SCRAM-SHA-512"); mechanism {
	case "PLAIN":
		return plain.Auth{User: user, Pass: password}.AsMechanism(), nil
	case "SCRAM-SHA-256":
		return scram.Auth{User: user, Pass: password}.AsSha256Mechanism(), nil
	case "SCRAM-SHA-512":
		return scram.Auth{User: user, Pass: password}.AsSha512Mechanism(), nil
	default:
		return nil, unusable("KAFKA_SASL_MECHANISM is %q", mechanism)
	}
}

func tlsConfig() (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if name := os.Getenv("KAFKA_SSL_CA_LOCATION"); name != "" {
		pem, err := os.ReadFile(name)
		config.RootCAs = x509.NewCertPool()
		if err != nil || !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, unusable("KAFKA_SSL_CA_LOCATION: no certificate can be read from the file")
		}
	}
	if os.Getenv("KAFKA_SSL_KEY_PASSWORD") != "" || os.Getenv("KAFKA_SSL_KEY_PASSWORD_FILE") != "" {
		return nil, unusable("KAFKA_SSL_KEY_PASSWORD: Go's library reads no encrypted PKCS#8 key; give it a plain one")
	}
	if name := os.Getenv("KAFKA_SSL_CERTIFICATE_LOCATION"); name != "" {
		pair, err := tls.LoadX509KeyPair(name, os.Getenv("KAFKA_SSL_KEY_LOCATION"))
		if err != nil {
			return nil, unusable("KAFKA_SSL_CERTIFICATE_LOCATION and KAFKA_SSL_KEY_LOCATION are no pair in PEM")
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return config, nil
}

// secret is a variable, or what the file that NAME_FILE names has, without the newline behind it.
func secret(name string) (string, error) {
	value, file := os.Getenv(name), os.Getenv(name+"_FILE")
	if value != "" && file != "" {
		return "", unusable("set %s or %s_FILE, not both", name, name)
	}
	if file == "" {
		return value, nil
	}
	content, err := os.ReadFile(file)
	if err != nil {
		return "", unusable("%s_FILE: the file cannot be read", name)
	}
	return strings.TrimSuffix(strings.TrimSuffix(string(content), "\n"), "\r"), nil
}

func variable(name, otherwise string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return otherwise
}

func unusable(format string, values ...any) error {
	return fmt.Errorf("%w: %s", ErrSettings, fmt.Sprintf(format, values...))
}
