// SPDX-License-Identifier: MIT OR Apache-2.0
// What the page asks of the service that has it. What that answers is shown to people, or lets this browser in; no key
// and no shield goes by it.

/** What is said at the door of a meeting, before anybody joins it. */
export interface AtTheDoor {
  /** Where its key comes from; `none`: it has none. */
  key: 'link' | 'none' | 'people' | 'service';
  name: string | null;
  signed_in: boolean;
  accounts: boolean;
  guests: 'allow' | 'sign-in';
}

/** Somebody in the waiting room. */
export interface Waiting {
  id: string;
  name: string;
  signed_in: boolean;
}

/** Why something was not done, for people; `kind` is for programs (RFC 9457), as is the status of HTTP. */
export class Refused extends Error {
  readonly kind: string;
  readonly status: number;

  constructor(detail: string, kind: string, status: number) {
    super(detail);
    this.kind = kind.replace('urn:roomseal:problem:', '');
    this.status = status;
  }
}

/** Asks for something at `path` below the API; what changes anything is a POST with a body. */
export async function ask<T>(path: string, body?: object, token = ''): Promise<T> {
  const asked = await fetch(`/api/${path}`, {
    method: body === undefined ? 'GET' : 'POST',
    headers: {
      ...(body === undefined ? {} : { 'content-type': 'application/json', 'roomseal-request': '1' }),
      ...(token ? { authorization: `Bearer ${token}` } : {}),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  if (asked.status === 204) return undefined as T;
  if (asked.ok) return asked.json() as Promise<T>;
  const problem = await asked.json().catch(() => ({})) as { detail?: string; type?: string };
  throw new Refused(problem.detail ?? `the meeting service answers ${asked.status}`, problem.type ?? '', asked.status);
}

/** The same about a meeting. */
export function askAbout<T>(meeting: string, what: string, body?: object, token = ''): Promise<T> {
  return ask(`meetings/${encodeURIComponent(meeting)}/${what}`, body, token);
}
