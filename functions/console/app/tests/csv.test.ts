import { expect, it } from 'vitest'
import { decode, guess, look, rows } from '../src/configure/kinds/csv'

it('reads the encodings that the import reads', () => {
  const utf16 = new Uint8Array([0xff, 0xfe, ...[...'Zoë'].flatMap((char) => [char.charCodeAt(0), 0])])
  expect(decode(new TextEncoder().encode('\uFEFFZoë'))).toBe('Zoë')
  expect(decode(utf16)).toBe('Zoë')
  expect(decode(new Uint8Array([0x5a, 0x6f, 0xeb]))).toBe('Zoë')
  // A look ends in the middle of a character.
  expect(decode(new TextEncoder().encode('Zoë').slice(0, 3), true)).toBe('Zo')
})

it('parts cells by what parts the headings, not by what is inside quotes', () => {
  expect(rows('Phone;"Name; first, last";Note\r\n333;"Zoë ""Z"" Rossi";"two\nlines"\r\n', 5)).toEqual([['Phone', 'Name; first, last', 'Note'], ['333', 'Zoë "Z" Rossi', 'two\nlines']])
  expect(rows('a,b\n1,2\n3,4', 2)).toEqual([['a', 'b'], ['1', '2']])
  expect(rows('a\tb', 2)).toEqual([['a', 'b']])
  expect(rows('', 2)).toEqual([])
})

it('shows the headings with an example', async () => {
  expect(await look(new Blob(['Phone ; Name\n333;Zoë\n334;Ugo']))).toEqual({ headings: ['Phone', 'Name'], example: ['333', 'Zoë'] })
  expect((await look(new Blob(['']))).headings).toEqual([])
})

it('guesses each column once, defined fields by their names', () => {
  expect(guess(['Telefono', 'Nome', 'Cognome', 'Numero cliente', 'E-mail'], [{ id: 'cfd_1', text: 'numero cliente' }, { id: 'cfd_2', text: 'Nome' }]))
    .toEqual({ phone: 'Telefono', first_name: 'Nome', last_name: 'Cognome', email: 'E-mail', cfd_1: 'Numero cliente' })
  expect(guess(['Phone', 'Phone 2', ''], [])).toEqual({ phone: 'Phone' })
})
