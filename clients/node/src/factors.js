// What a record of `factors` says, and a record of `factor-changes` about the time after it.

import { isInteger, isLosslessNumber, parse, stringify } from 'lossless-json'

/** The newest version of the records that this program reads. */
const SCHEMA_VERSION = 1

const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** A record that this program cannot read. It must not be skipped. */
export class UnreadableError extends Error {}

/**
 * @typedef {object} Factors The factors of one processor of one application.
 * @property {string} application_id
 * @property {string} processor
 * @property {string} outcome A text: a later version of the worker may publish one that this program does not know.
 * @property {Record<string, import('lossless-json').LosslessNumber | string | boolean>} factors The whole set, empty
 *   where they were cleared. A number is a LosslessNumber, which has every digit as a text; `JSON.parse` would lose some.
 * @property {{ partition: number, offset: bigint }} version Where the causing event stands.
 */

/**
 * Decode a value that is no tombstone; members that it does not know are ignored.
 *
 * @param {Buffer} value
 * @returns {Factors}
 */
export function decodeFactors (value) {
  let record
  try {
    record = parse(UTF8.decode(value))
  } catch {
    throw new UnreadableError('is no JSON')
  }
  const { schema_version: schema, application_id, processor, outcome, factors, version } = record ?? {}
  if (!isWhole(schema)) throw new UnreadableError('has no schema_version')
  if (schema.valueOf() > SCHEMA_VERSION) {
    throw new UnreadableError(`has schema_version ${schema}, and this program reads ${SCHEMA_VERSION}: use a later one`)
  }
  for (const [name, text] of Object.entries({ application_id, processor, outcome })) {
    if (typeof text !== 'string' || text === '') throw new UnreadableError(`has no ${name}`)
  }
  if (typeof factors !== 'object' || factors === null) throw new UnreadableError('has no factors')
  if (!isWhole(version?.partition) || !isWhole(version.offset)) throw new UnreadableError('has no version')
  const place = { partition: Number(version.partition.value), offset: BigInt(version.offset.value) }
  return { application_id, processor, outcome, factors, version: place }
}

function isWhole (value) {
  return isLosslessNumber(value) && isInteger(value.value)
}

/** Versions of an application only ever rise. */
export function isAfter (version, other) {
  return version.partition === other.partition
    ? version.offset > other.offset
    : version.partition > other.partition
}

/**
 * Take a key apart: the application, and what stands behind it, which is the processor in `factors` and the change's id
 * in `factor-changes`. Inside the application's id `%` and `/` are written `%25` and `%2F`: the first slash ends it.
 *
 * @param {Buffer} key
 */
export function parseKey (key) {
  let text
  try {
    text = UTF8.decode(key ?? Buffer.alloc(0))
  } catch {
    throw new UnreadableError('has a key that is no UTF-8')
  }
  const slash = text.indexOf('/')
  if (slash < 1 || slash === text.length - 1) throw new UnreadableError('has a key that no worker writes')
  // In this order: "%252F" must not become a slash.
  const applicationId = text.slice(0, slash).replaceAll('%2F', '/').replaceAll('%25', '%')
  return { applicationId, rest: text.slice(slash + 1) }
}

/** One line of JSON, with every digit. */
export function toJson (value) {
  return stringify(value)
}

/** The order of the bytes of the application, then of the processor. */
export function byPair (one, other) {
  return compareBytes(one.application_id, other.application_id) || compareBytes(one.processor, other.processor)
}

function compareBytes (one, other) {
  return Buffer.compare(Buffer.from(one), Buffer.from(other))
}
