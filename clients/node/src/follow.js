// Prints the current factors of every application as lines of JSON, then each change until SIGTERM or SIGINT:
//
//     node src/follow.js [--until-caught-up] [--deadline SECONDS]

import { parseArgs } from 'node:util'
import { connectionFrom, SettingsError } from './connection.js'
import { toJson, UnreadableError } from './factors.js'
import { FactorReader, KafkaError } from './reader.js'

const WRONG = 2
const FAILED = 3

const { values: options } = parseArgs({
  options: { 'until-caught-up': { type: 'boolean', default: false }, deadline: { type: 'string', default: '60' } }
})

let stopped = false

function print (lines) {
  process.stdout.write(lines.map(line => `${toJson(line)}\n`).join(''))
}

async function follow (reader) {
  await reader.readSnapshot()
  await reader.catchUp()
  print(reader.current())
  console.error('caught up')
  while (!stopped && !options['until-caught-up']) print(await reader.poll())
}

async function main () {
  const deadlineMs = Number(options.deadline) * 1000
  const reader = new FactorReader(connectionFrom(process.env), deadlineMs, text => console.error(text))
  try {
    await follow(reader)
  } finally {
    await reader.close()
  }
}

if (!options['until-caught-up']) {
  for (const signal of ['SIGTERM', 'SIGINT']) process.once(signal, () => { stopped = true })
}
try {
  await main()
} catch (error) {
  const wrong = error instanceof SettingsError || error instanceof UnreadableError
  if (!wrong && !(error instanceof KafkaError)) throw error
  console.error(`error: ${error.message}`)
  process.exitCode = wrong ? WRONG : FAILED
}
