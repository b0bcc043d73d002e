import { expect, it } from 'vitest'
import { Notices } from '../src/desk/notices'

it('tells of an offer once while the page is not seen, and takes it back when it ends or somebody looks', () => {
  const log: string[] = []
  let seen = false
  const notices = new Notices({ isSeen: () => seen, show: (id) => (log.push(`show ${id}`), { close: () => log.push(`close ${id}`) }) })
  const offers = (...ids: string[]) => notices.update(ids.map((id) => ({ id, title: id })))
  offers('a')
  offers('a', 'b')
  offers('b')
  expect(log.splice(0)).toEqual(['show a', 'show b', 'close a'])
  seen = true
  offers('b', 'c')
  expect(log.splice(0)).toEqual(['close b'])
  seen = false
  offers('c')
  expect(log).toEqual(['show c'])
})
