// The current factors of every application: a snapshot, then what changes, without a gap between the two.

import { Consumer, fetchV13, FetchIsolationLevels, IS_CONTROL, IS_TRANSACTIONAL, ListOffsetTimestamps } from '@platformatic/kafka'
import { setTimeout as sleep } from 'node:timers/promises'
import { byPair, decodeFactors, isAfter, parseKey, UnreadableError } from './factors.js'

const { READ_COMMITTED, READ_UNCOMMITTED } = FetchIsolationLevels
const { EARLIEST, LATEST } = ListOffsetTimestamps

const POLL_MS = 200
const QUIET_MS = 1000
const PARTITION_BYTES = 1 << 20
const ANSWER_BYTES = 16 << 20
const ABORT = 0

/** Kafka failed, or did not move until the deadline. */
export class KafkaError extends Error {}

/**
 * A worker writes `factors` and `factor-changes` in one transaction, but Kafka ends a transaction partition by partition.
 * So the order of the steps in `readSnapshot` matters.
 *
 * The library's own consumer is not used for reading. Its streams have fallbacks for an offset that it could not find out
 * (platformatic/kafka 267), and it passes on records of an aborted transaction whose marker comes in a later answer. Here
 * each answer of Kafka is read as it is; `committed` decides which of its records count.
 */
export class FactorReader {
  #connection
  #deadlineMs
  #onWaiting
  #consumer
  #current = new Map()
  #topic
  #positions = []

  /**
   * @param {ReturnType<import('./connection.js').connectionFrom>} connection
   * @param {number} deadlineMs how long a wait may last in which no partition moves.
   * @param {(text: string) => void} onWaiting is given a sentence about what is waited for, while nothing moves.
   */
  constructor (connection, deadlineMs, onWaiting) {
    this.#connection = connection
    this.#deadlineMs = deadlineMs
    this.#onWaiting = onWaiting
    // A group is asked for by the constructor; nothing here joins one.
    this.#consumer = new Consumer({ ...connection.client, groupId: 'unused' })
  }

  async close () {
    await this.#consumer.close(true)
  }

  /** The factors as far as they were read, by application and processor. */
  current () {
    return [...this.#current.values()].flatMap(pairs => [...pairs.values()]).sort(byPair)
  }

  /** Read `factors` as it is, and go to where `factor-changes` has to be read on. */
  async readSnapshot () {
    const { factorsTopic, changesTopic } = this.#connection
    // 1. The last stable offset of the journal. What lies below it is committed, so its record of `factors` was written
    //    before; what lies above it will be read in the tail. The high watermark would lose a change whose transaction is
    //    still open.
    const stable = await this.#offsets(changesTopic, LATEST, READ_COMMITTED)
    // 2. Only after all of these answers: the high watermark of `factors`. The stable offset would lose a record whose
    //    marker has not arrived yet although the journal's has.
    const ends = await this.#offsets(factorsTopic, LATEST, READ_UNCOMMITTED)
    const starts = await this.#offsets(factorsTopic, EARLIEST, READ_UNCOMMITTED)
    // 3. Read up to it, only what is committed.
    this.#seek(factorsTopic, starts)
    await this.#readTo(ends, record => this.#applySnapshot(record))
    this.#seek(changesTopic, stable)
  }

  /** Apply the journal up to where it ends now, open transactions included. */
  async catchUp () {
    const ends = await this.#offsets(this.#connection.changesTopic, LATEST, READ_UNCOMMITTED)
    await this.#readTo(ends, record => this.#applyChange(record))
  }

  /**
   * Wait a moment for changes and apply them.
   *
   * @returns each change, and `{ application_id, erased: true }` for each erasure, that made a difference.
   */
  async poll () {
    const updates = []
    await this.#poll(record => {
      const update = this.#applyChange(record)
      if (update) updates.push(update)
    })
    return updates
  }

  #applySnapshot ({ key, value }) {
    const { applicationId, rest: processor } = parseKey(key)
    if (value === null) {
      this.#current.get(applicationId)?.delete(processor)
    } else {
      this.#keep(decodeFactors(value))
    }
  }

  #applyChange ({ key, value }) {
    const { applicationId } = parseKey(key)
    if (value === null) {
      // A tombstone is an erasure of the whole application. Cleared factors are a record.
      const known = this.#current.get(applicationId)?.size ?? 0
      this.#current.delete(applicationId)
      return known > 0 ? { application_id: applicationId, erased: true } : undefined
    }
    const change = decodeFactors(value)
    const known = this.#current.get(change.application_id)?.get(change.processor)
    if (known && !isAfter(change.version, known.version)) return undefined
    return this.#keep(change)
  }

  #keep (factors) {
    const pairs = this.#current.get(factors.application_id) ?? new Map()
    this.#current.set(factors.application_id, pairs.set(factors.processor, factors))
    return factors
  }

  #seek (topic, positions) {
    this.#topic = topic
    this.#positions = [...positions]
  }

  /**
   * Read until each position has reached its end. Positions decide, as no record may stand there: markers and aborted
   * records move only the position.
   */
  async #readTo (ends, apply) {
    let moved = Date.now()
    let reported = moved
    for (;;) {
      const behind = ends.findIndex((end, partition) => this.#positions[partition] < end)
      if (behind === -1) return
      const still = Date.now() - moved
      if (still > this.#deadlineMs) {
        const waitedFor = await this.#waitedFor(behind, ends)
        throw new KafkaError(`nothing moved for ${this.#deadlineMs / 1000} s: ${waitedFor}`)
      }
      if (still > QUIET_MS && Date.now() - reported > QUIET_MS) {
        reported = Date.now()
        this.#onWaiting(`waiting: ${await this.#waitedFor(behind, ends)}`)
      }
      const before = [...this.#positions]
      await this.#poll(apply)
      if (this.#positions.some((position, partition) => position !== before[partition])) moved = Date.now()
    }
  }

  /** What holds a partition back: a consumer learns nothing about it from Kafka. */
  async #waitedFor (partition, ends) {
    const stable = await this.#offsets(this.#topic, LATEST, READ_COMMITTED)
    const end = ends[partition]
    const found = `${this.#topic} partition ${partition} has the stable offset ${stable[partition]} and is read to ${end}`
    return stable[partition] < end
      ? `${found}: a transaction before ${end} is open`
      : `${found}: only ${this.#positions[partition]} is read so far`
  }

  /** An offset of every partition. One that is absent or negative is no answer. */
  async #offsets (topic, timestamp, isolationLevel) {
    const found = await guarded(() => this.#consumer.listOffsets({ topics: [topic], timestamp, isolationLevel }))
    const offsets = Array.from(found.get(topic) ?? [])
    const absent = offsets.findIndex(offset => offset === undefined || offset < 0n)
    if (absent !== -1 || offsets.length === 0) throw new KafkaError(`no offset of ${topic} partition ${absent}`)
    return offsets
  }

  /** Apply what there is, and move the positions. */
  async #poll (apply) {
    const { id, partitions } = await this.#partitions()
    const leaders = new Set(partitions.map(({ leader }) => leader))
    const answers = [...leaders].map(leader => {
      const wanted = partitions.flatMap((one, partition) => (one.leader === leader ? [partition] : []))
      return this.#attempt(() => this.#fetch(leader, id, wanted))
    })
    for (const partition of (await Promise.all(answers)).flat()) {
      const { records, next } = committed(partition, this.#positions[partition.partitionIndex])
      for (const record of records) this.#apply(record, partition.partitionIndex, apply)
      this.#positions[partition.partitionIndex] = next
    }
  }

  async #partitions () {
    const [found] = await this.#attempt(async () => {
      const metadata = await this.#consumer.metadata({ topics: [this.#topic] })
      return [metadata.topics.get(this.#topic)]
    })
    return found ?? { partitions: [] }
  }

  async #fetch (leader, topicId, wanted) {
    const connections = await this.#consumer.connectToBrokers([leader])
    const partitions = wanted.map(partition => ({
      partition,
      fetchOffset: this.#positions[partition],
      partitionMaxBytes: PARTITION_BYTES,
      currentLeaderEpoch: -1,
      lastFetchedEpoch: -1
    }))
    const noSession = [0, -1]
    const asked = [POLL_MS, 1, ANSWER_BYTES, READ_COMMITTED, ...noSession, [{ topicId, partitions }], [], '']
    const { responses } = await fetchV13.api.async(connections.get(leader), ...asked)
    return responses.flatMap(topic => topic.partitions)
  }

  /** Nothing, where the failure may pass: a leader has changed or gone. The next poll asks anew. */
  async #attempt (ask) {
    try {
      return await ask()
    } catch (error) {
      if (!mayPass(error)) throw new KafkaError(`${this.#topic}: ${inWords(error)}`, { cause: error })
      this.#consumer.clearMetadata()
      await sleep(POLL_MS)
      return []
    }
  }

  /** Name the place of a record that cannot be read, and never its content. */
  #apply (record, partition, apply) {
    try {
      apply(record)
    } catch (error) {
      if (!(error instanceof UnreadableError)) throw error
      throw new UnreadableError(`${this.#topic} partition ${partition} offset ${record.offset} ${error.message}`)
    }
  }
}

/**
 * The committed records of one partition in an answer, and the position behind all that was read. Kafka sends whole batches,
 * those of aborted transactions too, and names these transactions by producer and first offset; the marker of an abort
 * ends one. As Kafka's own consumer does it (KIP-98).
 *
 * @param {bigint} position what lies before it was read already.
 */
export function committed ({ records: batches = [], abortedTransactions }, position) {
  const ahead = [...(abortedTransactions ?? [])].sort((one, other) => Number(one.firstOffset - other.firstOffset))
  const aborted = new Set()
  const records = []
  let next = position
  for (const batch of batches) {
    const last = batch.firstOffset + BigInt(batch.lastOffsetDelta)
    while (ahead.length > 0 && ahead[0].firstOffset <= last) aborted.add(ahead.shift().producerId)
    if (batch.attributes & IS_CONTROL) {
      if (batch.records[0]?.key?.readInt16BE(2) === ABORT) aborted.delete(batch.producerId)
    } else if (!(batch.attributes & IS_TRANSACTIONAL && aborted.has(batch.producerId))) {
      for (const { offsetDelta, key, value } of batch.records) {
        const offset = batch.firstOffset + BigInt(offsetDelta)
        if (offset >= position) records.push({ offset, key, value })
      }
    }
    if (last >= next) next = last + 1n
  }
  return { records, next }
}

async function guarded (ask) {
  try {
    return await ask()
  } catch (error) {
    throw new KafkaError(inWords(error), { cause: error })
  }
}

function mayPass (error) {
  return error.findBy?.('canRetry', true) && !error.findBy('canRetry', false)
}

/** An error of several has the reason in its parts. */
function inWords (error) {
  return error.errors?.length ? [...new Set(error.errors.map(inWords))].join('; ') : error.message
}
