/**
 * A server that answers as the agents' API does, with made-up data, as fast as a machine can: what is measured against it
 * is the browser's part alone. It also serves the built files, and the feed over a socket.
 */
import { createHash } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { extname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const dist = fileURLToPath(new URL('../dist/', import.meta.url))
const TYPES = { '.js': 'text/javascript', '.css': 'text/css', '.svg': 'image/svg+xml', '.woff2': 'font/woff2' }
const ME = 'agt_me'
const START = Date.parse('2026-11-26T08:00:00Z')
const two = (n) => String(n).padStart(6, '0')

/** The conversations, and the messages of each: made when they are asked for. */
export function interaction(n, more = {}) {
  return {
    id: `int_${two(n)}`, version: 1, account: 'acc_1', contact: `con_${two(n)}`, customer_name: `Customer ${n}`, customer_phone: `+39333${two(n)}`, agent: ME, status: 'open',
    opened_at: new Date(START).toISOString(), last_message_at: new Date(START + n * 1000).toISOString(), unread: false, tab_open: false, archived: false, priority: 0, tags: [], ...more
  }
}
export function message(of, n, more = {}) {
  const mine = n % 3 === 0
  return {
    id: `msg_${of.slice(4)}_${two(n)}`, interaction: of, version: 1, at: new Date(START + n * 1000).toISOString(), attachments: [], reactions: [],
    author: mine ? { kind: 'agent', agent: ME } : { kind: 'customer' }, state: mine ? 'read' : undefined,
    content: { type: 'text', body: `Message ${n}: ${'the parcel is on its way, '.repeat(1 + (n % 5))}and so on.` }, ...more
  }
}

/** Frames from the server to the browser, short or long; never masked. */
function frame(text) {
  const body = Buffer.from(text)
  if (body.length < 126) return Buffer.concat([Buffer.from([0x81, body.length]), body])
  const head = Buffer.from([0x81, 126, body.length >> 8, body.length & 255])
  return Buffer.concat([head, body])
}

export async function serve({ interactions = [], messages = 100 }) {
  const events = []
  const sockets = new Set()
  const state = { interactions, messages, events, cut: false }
  const read = (after, limit) => events.slice(after, after + limit)
  const index = readFileSync(join(dist, 'index.html'), 'utf8')
  const answers = {
    'POST /console/session/token': () => ({ id_token: 'token', expires_in: 3600 }),
    'GET /agent/me': () => ({
      id: ME, name: 'Anna', role: 'agent', whatsapp: true, capacity: 100, queues: [], pauses: ['Lunch'], tags: [], disposition_descriptions: {},
      accounts: [{ id: 'acc_1', key: 'SALES', name: 'Sales', member: true, active: true, transfer_to_agent: { enabled: true, timeout: 30 }, transfer_to_queue: { enabled: true, timeout: 30 }, mandatory_disposition: false, dispositions: [], recontact: false, assistant: false }]
    }),
    'GET /agent/presence': () => ({ state: 'ready', since: new Date(START).toISOString(), capacity: 100, load: state.interactions.length }),
    'GET /agent/interactions': () => ({ interactions: state.interactions, offers: [], seq: state.events.at(-1)?.seq ?? 0 }),
    'GET /agent/accounts/acc_1/colleagues': () => ({ agents: [], others: [], queues: [] }),
    'GET /agent/interactions/waiting': () => ({ items: [], more: false }),
    'GET /agent/notifications': () => ({ items: [], unread: 0 }),
    'POST /agent/tickets': () => ({ ticket: 't', url: `${url.replace('http', 'ws')}/socket`, expires_at: new Date().toISOString() })
  }
  const server = createServer((request, response) => {
    const { pathname, searchParams } = new URL(request.url, 'http://localhost')
    const json = (body) => response.writeHead(200, { 'Content-Type': 'application/json' }).end(JSON.stringify(body))
    if (state.cut && pathname.startsWith('/agent')) return response.destroy()
    const known = answers[`${request.method} ${pathname}`]
    if (known) return json(known())
    if (pathname === '/agent/events') {
      const after = Math.min(Number(searchParams.get('after')), events.length)
      const items = read(after, Number(searchParams.get('limit')))
      return json({ items, last: events.length, next: after + items.length < events.length ? String(after + items.length) : undefined })
    }
    const [, id, rest] = /^\/agent\/interactions\/(\w+)(?:\/(\w+))?$/.exec(pathname) ?? []
    if (rest === 'messages') {
      const [before, limit] = [Number(searchParams.get('after') ?? state.messages), Number(searchParams.get('limit'))]
      const from = Math.max(0, before - limit)
      return json({ items: Array.from({ length: before - from }, (_, at) => message(id, before - 1 - at)), next: from > 0 ? String(from) : undefined })
    }
    if (rest === 'contact') return json({ id: 'con', phones: [], user_ids: [], lists: [], links: [] })
    if (rest) return json({ items: [] })
    if (id) return json(state.interactions.find((it) => it.id === id))
    const file = join(dist, pathname.replace('/console/', ''))
    if (!extname(pathname) || !existsSync(file)) return response.writeHead(200, { 'Content-Type': 'text/html' }).end(index)
    response.writeHead(200, { 'Content-Type': TYPES[extname(file)] ?? 'application/octet-stream' }).end(readFileSync(file))
  })
  server.on('upgrade', (request, socket) => {
    const accept = createHash('sha1').update(`${request.headers['sec-websocket-key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64')
    socket.write(`HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`)
    sockets.add(socket)
    socket.on('error', () => undefined)
    socket.on('close', () => sockets.delete(socket))
    socket.on('data', (data) => {
      // A short text: the only one that the console sends asks for what it has missed.
      if ((data[0] & 15) !== 1) return
      const length = data[1] & 127
      const text = Buffer.from(data.subarray(6, 6 + length).map((byte, at) => byte ^ data[2 + (at % 4)])).toString()
      for (const entry of read(JSON.parse(text).after, 200)) socket.write(frame(JSON.stringify(entry)))
    })
  })
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${server.address().port}`
  /** An event happens. While the connection is cut nobody hears of it. */
  function emit(event) {
    const entry = { seq: events.length + 1, at: new Date().toISOString(), event }
    events.push(entry)
    if (!state.cut) for (const socket of sockets) socket.write(frame(JSON.stringify(entry)))
  }
  function cut(on) {
    state.cut = on
    if (on) for (const socket of sockets) socket.destroy()
  }
  return { url, state, emit, cut, close: () => { for (const socket of sockets) socket.destroy(); server.closeAllConnections(); server.close() } }
}
