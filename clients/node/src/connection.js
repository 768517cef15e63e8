// How to reach Kafka, from the worker's own environment variables (docs/settings.md).

import { readFileSync } from 'node:fs'
import { isIP } from 'node:net'

/** A setting that cannot be used; the message names the variable, never a secret. */
export class SettingsError extends Error {}

/**
 * @param {Record<string, string | undefined>} environment
 * @returns {{ client: object, factorsTopic: string, changesTopic: string }} `client` holds the passwords.
 */
export function connectionFrom (environment) {
  const variable = (name, otherwise) => environment[name] || otherwise
  const required = name => variable(name) ?? refuse(`set ${name}`)
  const file = name => {
    try {
      return readFileSync(required(name), 'utf8')
    } catch (error) {
      if (error instanceof SettingsError) throw error
      return refuse(`${name}: the file cannot be read`)
    }
  }
  // From the variable, or from the file that NAME_FILE names, without the newline behind it.
  const secret = name => {
    const inFile = `${name}_FILE`
    if (variable(name) && variable(inFile)) refuse(`set ${name} or ${inFile}, not both`)
    return variable(inFile) ? file(inFile).replace(/\r?\n$/, '') : variable(name)
  }

  const bootstrapBrokers = required('KAFKA_BOOTSTRAP_SERVERS').split(',')
  const protocol = variable('KAFKA_SECURITY_PROTOCOL', 'PLAINTEXT')
  const client = { clientId: 'factor-consolidator-node', bootstrapBrokers }
  if (protocol.startsWith('SASL_')) {
    client.sasl = {
      mechanism: variable('KAFKA_SASL_MECHANISM', 'SCRAM-SHA-512'),
      username: required('KAFKA_SASL_USERNAME'),
      password: secret('KAFKA_SASL_PASSWORD') ?? refuse('set KAFKA_SASL_PASSWORD')
    }
  }
  if (protocol.endsWith('SSL')) {
    const certificate = variable('KAFKA_SSL_CERTIFICATE_LOCATION')
    client.tls = {
      ca: variable('KAFKA_SSL_CA_LOCATION') && file('KAFKA_SSL_CA_LOCATION'),
      cert: certificate && file('KAFKA_SSL_CERTIFICATE_LOCATION'),
      key: certificate && file('KAFKA_SSL_KEY_LOCATION'),
      passphrase: secret('KAFKA_SSL_KEY_PASSWORD')
    }
    // A server's name is sent only if it is one: an address is none.
    client.tlsServerName = bootstrapBrokers.some(address => !isIP(address.replace(/:\d+$/, '')))
  }
  const prefix = variable('CONSOLIDATOR_TOPIC_PREFIX', '')
  return { client, factorsTopic: `${prefix}factors`, changesTopic: `${prefix}factor-changes` }
}

function refuse (message) {
  throw new SettingsError(message)
}
