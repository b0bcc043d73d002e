/** The account that a form is about, for inputs that ask its provider. */
import type { InjectionKey } from 'vue'

export const ACCOUNT: InjectionKey<{ id: string }> = Symbol('account')
