import { expect, it, vi } from 'vitest'

// What is tested is who sees what, not the screens.
vi.mock('../src/desk/DeskView.vue', () => ({ default: {} }))
const { atLeast, viewOf, viewsOf } = await import('../src/views')

it('shows each role its own views, and those of the roles before it', () => {
  const seen = (role: 'agent' | 'supervisor' | 'admin' | 'owner', whatsapp = true) => viewsOf({ role, whatsapp }).map((view) => view.path)
  expect(seen('agent')).toEqual(['/desk', '/conversations'])
  expect(seen('supervisor')).toEqual(['/desk', '/supervise', '/configure'])
  expect(seen('owner')).toEqual(expect.arrayContaining(seen('supervisor')))
  // Supervisors have the list with more.
  expect(seen('supervisor')).not.toContain('/conversations')
  expect([seen('supervisor', false)[0], seen('agent', false)[0]]).toEqual(['/supervise', '/desk'])
  expect([atLeast('agent', 'supervisor'), atLeast('owner', 'admin')]).toEqual([false, true])
})

it('knows the view of an address', () => {
  expect(viewOf('/supervise/interactions/int_1')?.path).toBe('/supervise')
  expect([viewOf('/supervised'), viewOf('/')]).toEqual([undefined, undefined])
})
