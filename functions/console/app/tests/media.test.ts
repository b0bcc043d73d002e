import { expect, it } from 'vitest'
import type { Attachment } from '../src/api'
import { room } from '../src/desk/media'

const of = (width?: number, height?: number, kind = 'image') => room({ kind, width, height } as Attachment)

it.each([
  ['a photo', of(4000, 3000), '280px', '280 / 210'],
  ['one that was held upright', of(3000, 4000), '210px', '210 / 280'],
  ['a small picture', of(100, 80), '100px', '100 / 80'],
  ['a tiny one', of(1, 1), '48px', '48 / 48'],
  ['a panorama', of(8000, 400), '280px', '280 / 48'],
  ['a tower', of(400, 8000), '48px', '48 / 280'],
  ['a sticker', of(512, 512, 'sticker'), '160px', '160 / 160']
])('%s has its room', (_, found, width, aspectRatio) => expect(found).toEqual({ width, aspectRatio }))

it('has none for what nobody has measured', () => expect([of(), of(10), of(undefined, 10)]).toEqual([undefined, undefined, undefined]))
