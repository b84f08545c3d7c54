// SPDX-License-Identifier: MIT OR Apache-2.0
// What the hub is asked: accounts and plans, never a secret of a meeting.

/** A meeting as the hub knows it. */
export interface Plan {
  room: string;
  title: string;
  /** Seconds since 1970, as is the end. */
  starts: number;
  ends: number;
  e2ee: boolean;
  waiting_room: boolean;
  /** Its link without what is secret. */
  address: string;
  /** The room boxes that are booked for it. */
  rooms: { id: string; name: string }[];
}

/** A room box that can be booked. */
export interface Room {
  id: string;
  name: string;
  /** Its public key, as the hub says. */
  key: string;
}

/** Somebody who is signed in. */
export interface Account {
  display_name: string;
  licensed: boolean;
}

/** Whoever asks has to sign in first. */
export class NotSignedIn extends Error {}

async function ask(method: string, path: string, body?: object): Promise<Response> {
  const asked = await fetch(`/api/${path}`, {
    method,
    headers: { 'content-type': 'application/json', 'roomseal-request': '1' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  if (asked.ok) return asked;
  const { detail } = await asked.json().catch(() => ({ detail: `the hub answers ${asked.status}` }));
  throw asked.status === 401 ? new NotSignedIn(detail) : new Error(detail);
}

/** Who is signed in. */
export async function me(): Promise<Account> {
  return (await ask('GET', 'me')).json();
}

/** Signs in; the session is a cookie that this page cannot read. */
export async function signIn(name: string, password: string): Promise<Account> {
  return (await ask('POST', 'sign-in', { name, password })).json();
}

/** Signs out. */
export async function signOut() {
  await ask('POST', 'sign-out');
}

/** The own meetings that are not over, the next first. */
export async function plans(): Promise<Plan[]> {
  return (await (await ask('GET', 'schedule')).json()).meetings;
}

/** The room boxes that can be booked. */
export async function rooms(): Promise<Room[]> {
  return (await (await ask('GET', 'rooms')).json()).rooms;
}

/** A code with which one box is enrolled; in seconds since 1970, until when. */
export async function boxCode(): Promise<{ code: string; expires: number }> {
  return (await ask('POST', 'devices/code', {})).json();
}

/** By what boxes check the hub, in hexadecimal digits, where it made its certificate itself. */
export async function certificate(): Promise<string | null> {
  return (await (await ask('GET', 'certificate')).json()).sha256;
}

/** Schedules one. */
export async function schedule(plan: object): Promise<Plan> {
  return (await ask('POST', 'schedule', plan)).json();
}

/** Takes one back. */
export async function cancel(room: string) {
  await ask('DELETE', `schedule/${encodeURIComponent(room)}`);
}

/** What is sent to people, still without what is secret. */
export async function text(room: string, kind: 'calendar' | 'invitation'): Promise<string> {
  return (await ask('GET', `schedule/${encodeURIComponent(room)}/${kind}`)).text();
}
