// SPDX-License-Identifier: MIT OR Apache-2.0
// Signing in, for who has an account with the service or a code that makes one. The session is a cookie that this page
// cannot read.

import { ask } from './service.js';
import { element } from './views.js';

const LABELS = {
  account: { account: 'Name of your account', password: 'Password', enter: 'Sign in' },
  code: { account: 'Invitation code', password: 'Choose a password', enter: 'Sign in' },
};

/** The form; it is there while somebody is asked. */
export class SignIn {
  readonly #form = element<HTMLFormElement>('sign-in');
  readonly #account = element<HTMLInputElement>('account');
  readonly #password = element<HTMLInputElement>('password');
  readonly #reply = element('sign-in-reply');
  #by: keyof typeof LABELS = 'account';
  #done: ((signedIn: boolean) => void) | undefined;

  constructor() {
    this.#form.addEventListener('submit', (event) => {
      event.preventDefault();
      void this.#try();
    });
    element('by-code').addEventListener('click', () => {
      this.#label(this.#by === 'account' ? 'code' : 'account');
      this.#account.value = '';
      this.#account.focus();
    });
    element('not-now').addEventListener('click', () => this.#end(false));
  }

  /** Asks somebody to sign in, and says why; whether he did. */
  ask(why: string): Promise<boolean> {
    this.#end(false);
    element('sign-in-why').textContent = why;
    this.#say('');
    this.#label('account');
    this.#form.hidden = false;
    this.#account.focus();
    return new Promise((resolve) => {
      this.#done = resolve;
    });
  }

  async #try() {
    const enter = element<HTMLButtonElement>('sign-in-enter');
    const [who, password] = [this.#account.value, this.#password.value];
    this.#password.value = '';
    enter.disabled = true;
    this.#say('');
    try {
      const { display_name: called } = this.#by === 'account'
        ? await ask<{ display_name: string }>('sign-in', { name: who, password })
        : await ask<{ display_name: string }>('invitation/accept', { code: who.trim(), password });
      signedIn(called);
      this.#end(true);
    } catch (error) {
      this.#say((error as Error).message);
      this.#password.focus();
    } finally {
      enter.disabled = false;
    }
  }

  #end(done: boolean) {
    this.#form.hidden = true;
    this.#password.value = '';
    this.#done?.(done);
    this.#done = undefined;
  }

  #say(text: string) {
    this.#reply.textContent = text;
    this.#reply.hidden = text === '';
  }

  #label(by: keyof typeof LABELS) {
    this.#by = by;
    element('account-label').textContent = LABELS[by].account;
    element('password-label').textContent = LABELS[by].password;
    element('sign-in-enter').textContent = LABELS[by].enter;
    element('by-code').textContent = by === 'account' ? 'I have an invitation code' : 'I have a password';
    this.#account.autocomplete = by === 'account' ? 'username' : 'off';
    this.#password.autocomplete = by === 'account' ? 'current-password' : 'new-password';
  }
}

/** Says at the door who this is; there is nothing left to sign in for. */
export function signedIn(called: string) {
  element('with-account').hidden = true;
  const place = element('signed-in');
  place.textContent = `Signed in as ${called}.`;
  place.hidden = false;
  const name = element<HTMLInputElement>('name');
  if (name.value === '') name.value = called;
}
