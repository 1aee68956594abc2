// Runs one author's JavaScript for windlass/guest/node.py: reads a request file, writes an answer file.
'use strict'
const fs = require('node:fs')
const vm = require('node:vm')
const path = require('node:path')
const { createRequire } = require('node:module')

const request = JSON.parse(fs.readFileSync(process.argv[2], 'utf8'))
const fileName = `<${request.phase}>`
const UNSET = Symbol('unset')

// Tables are read when they are first used, and once.
const found = new Map()
function readTable(name) {
  if (!found.has(name)) {
    const text = fs.readFileSync(request.tables[name], 'utf8')
    found.set(name, text.split('\n').filter((line) => line !== '').map((line) => JSON.parse(line)))
  }
  return found.get(name)
}
const data = {}
for (const name of new Set([...Object.keys(request.outputs), ...Object.keys(request.tables)])) {
  const get = () => (name in request.tables ? readTable(name) : request.outputs[name])
  Object.defineProperty(data, name, { get, enumerable: true })
}

const scope = {
  ...request.names,
  data,
  input: request.input,
  outputs: request.outputs,
  state: request.state,
  result: UNSET,
  console, process, Buffer, URL, URLSearchParams, TextEncoder, TextDecoder, fetch, structuredClone, crypto,
  setTimeout, clearTimeout, setInterval, clearInterval, setImmediate, queueMicrotask,
  require: createRequire(path.join(process.cwd(), 'phase.js')),
}

function answer(value) {
  fs.writeFileSync(request.answer, JSON.stringify(value))
}

function fail(error) {
  const stack = String((error && error.stack) || error)
  const at = stack.match(new RegExp(`<${request.phase.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')}>:(\\d+)`))
  // The frames below the author's own are this file's and Node's.
  const lines = stack.split('\n').filter((line) => !line.includes('host.js') && !line.includes('node:'))
  const message = error && error.name ? `${error.name}: ${error.message}` : `the code threw ${String(error)}`
  answer({ error: { message, stack: lines.join('\n'), line: at ? Number(at[1]) : 0 } })
}

async function main() {
  vm.createContext(scope)
  // The head stays on the author's first line, so that line numbers are the author's own.
  const head = '(async () => {'
  const tail = '\n;return typeof result === "undefined" ? undefined : result })()'
  const script = new vm.Script(head + request.code + tail, { filename: fileName, columnOffset: -head.length })
  const value = await script.runInContext(scope)
  const isSet = value !== UNSET && value !== undefined
  answer({ result: isSet ? value : null, is_set: isSet, state: scope.state })
}

main().catch(fail)
