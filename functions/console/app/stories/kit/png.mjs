/** Makes a picture small: the colours of a screen fit a palette. It reads what Chromium writes, and nothing else. */
import { deflateSync, inflateSync } from 'node:zlib'

const SIGNATURE = Buffer.from('89504e470d0a1a0a', 'hex')
/** As many colours as a byte can name. */
const MOST = 256
/** Grounds and texts, which stay exactly as they are; edges of letters may be a little off. */
const EXACT = 64

function chunks(png) {
  const found = []
  for (let at = SIGNATURE.length; at < png.length; ) {
    const length = png.readUInt32BE(at)
    found.push([png.toString('latin1', at + 4, at + 8), png.subarray(at + 8, at + 8 + length)])
    at += length + 12
  }
  return found
}

const paeth = (a, b, c) => {
  const [pa, pb, pc] = [Math.abs(b - c), Math.abs(a - c), Math.abs(a + b - 2 * c)]
  return pa <= pb && pa <= pc ? a : pb <= pc ? b : c
}

/** The pixels as numbers, `0xrrggbb`. */
export function decoded(png) {
  const all = chunks(png)
  const head = all.find(([name]) => name === 'IHDR')[1]
  const [width, height, depth, type, interlaced] = [head.readUInt32BE(0), head.readUInt32BE(4), head[8], head[9], head[12]]
  if (depth !== 8 || ![2, 6].includes(type) || interlaced) throw new Error('not a picture that a browser wrote')
  const bytes = type === 6 ? 4 : 3
  const raw = inflateSync(Buffer.concat(all.filter(([name]) => name === 'IDAT').map(([, data]) => data)))
  const line = width * bytes
  let before = Buffer.alloc(line)
  const pixels = new Uint32Array(width * height)
  for (let y = 0; y < height; y += 1) {
    const filter = raw[y * (line + 1)]
    const now = Buffer.from(raw.subarray(y * (line + 1) + 1, (y + 1) * (line + 1)))
    for (let x = 0; x < line; x += 1) {
      const [left, up, corner] = [x >= bytes ? now[x - bytes] : 0, before[x], x >= bytes ? before[x - bytes] : 0]
      const guess = [0, left, up, (left + up) >> 1, paeth(left, up, corner)][filter]
      now[x] = (now[x] + guess) & 255
    }
    for (let x = 0; x < width; x += 1) pixels[y * width + x] = (now[x * bytes] << 16) | (now[x * bytes + 1] << 8) | now[x * bytes + 2]
    before = now
  }
  return { width, height, pixels }
}

/** Which colour stands for each: itself if it is frequent, else the most frequent of those that are alike. */
export function palette(pixels) {
  const counts = new Map()
  for (const pixel of pixels) counts.set(pixel, (counts.get(pixel) ?? 0) + 1)
  const colours = [...counts].sort((a, b) => b[1] - a[1]).map(([colour]) => colour)
  for (let bits = 0; ; bits += 1) {
    const mask = (0xff << bits) & 0xff
    const alike = (colour) => colour & ((mask << 16) | (mask << 8) | mask)
    const chosen = new Map()
    const exact = colours.slice(0, EXACT)
    for (const colour of colours.slice(EXACT)) if (!chosen.has(alike(colour))) chosen.set(alike(colour), colour)
    const all = [...exact, ...chosen.values()]
    if (all.length > MOST) continue
    const places = new Map(all.map((colour, at) => [colour, at]))
    return { all, place: new Map(colours.map((colour) => [colour, places.get(colour) ?? places.get(chosen.get(alike(colour)))])) }
  }
}

const TABLE = Array.from({ length: 256 }, (_, n) => Array.from({ length: 8 }).reduce((c) => (c & 1 ? (c >>> 1) ^ 0xedb88320 : c >>> 1), n))
const crc = (data) => ~data.reduce((c, byte) => (c >>> 8) ^ TABLE[(c ^ byte) & 255], -1) >>> 0

function chunk(name, data) {
  const body = Buffer.concat([Buffer.from(name, 'latin1'), data])
  const [length, sum] = [Buffer.alloc(4), Buffer.alloc(4)]
  length.writeUInt32BE(data.length)
  sum.writeUInt32BE(crc(body))
  return Buffer.concat([length, body, sum])
}

export function small(png) {
  const { width, height, pixels } = decoded(png)
  const { all, place } = palette(pixels)
  const head = Buffer.alloc(13)
  head.writeUInt32BE(width, 0)
  head.writeUInt32BE(height, 4)
  head.set([8, 3, 0, 0, 0], 8)
  const lines = Buffer.alloc((width + 1) * height)
  for (let y = 0; y < height; y += 1) for (let x = 0; x < width; x += 1) lines[y * (width + 1) + 1 + x] = place.get(pixels[y * width + x])
  const colours = Buffer.from(all.flatMap((colour) => [colour >> 16, (colour >> 8) & 255, colour & 255]))
  return Buffer.concat([SIGNATURE, chunk('IHDR', head), chunk('PLTE', colours), chunk('IDAT', deflateSync(lines, { level: 9, memLevel: 9 })), chunk('IEND', Buffer.alloc(0))])
}
