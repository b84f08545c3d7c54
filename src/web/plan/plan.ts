// SPDX-License-Identifier: MIT OR Apache-2.0
// Meetings are planned here. Secret, keys and links of a meeting are made in this browser; the hub gets its room, its
// title and times, the name of its key and a signed policy, and for each room box that is booked the host link, sealed to
// the key of that box. The links are shown once, and kept by nobody but people: not by the hub, and not in this browser.

import * as hub from './hub.js';
import { make, type Planned } from './maker.js';
import { Rooms } from './rooms.js';

const rooms = new Rooms(element('rooms-part'), element('rooms'));

function element<T extends HTMLElement = HTMLElement>(id: string): T {
  const found = document.getElementById(id);
  if (found === null) throw new Error(`the page has no #${id}`);
  return found as T;
}

function trouble(error: unknown) {
  const place = element('trouble');
  place.textContent = error instanceof Error ? error.message : String(error);
  place.hidden = place.textContent === '';
}

/** One of the parts that the page consists of. */
function show(part: 'sign-in' | 'desk') {
  for (const id of ['sign-in', 'desk'] as const) element(id).hidden = id !== part;
}

/** Does something that a person asked for, and says why where it fails. */
function act(work: () => Promise<void>) {
  trouble('');
  work().catch((error) => {
    if (error instanceof hub.NotSignedIn) askToSignIn();
    trouble(error);
  });
}

function askToSignIn() {
  forget();
  takeCode();
  show('sign-in');
  element('account').focus();
}

async function open(account: hub.Account) {
  const name = element<HTMLInputElement>('host');
  if (name.value === '') name.value = account.display_name;
  element('who').textContent = `Signed in as ${account.display_name}.`;
  const sealed = element<HTMLInputElement>('sealed');
  sealed.disabled = !account.licensed;
  sealed.checked = account.licensed;
  element('no-licence').hidden = account.licensed;
  show('desk');
  rooms.show(await hub.rooms());
  await list();
}

/** A time as the field for it takes it, in the zone of this device. */
function local(at: Date): string {
  const two = (value: number) => String(value).padStart(2, '0');
  const date = [at.getFullYear(), two(at.getMonth() + 1), two(at.getDate())].join('-');
  return `${date}T${two(at.getHours())}:${two(at.getMinutes())}`;
}

function when({ starts, ends }: hub.Plan): string {
  const format = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'short' });
  return format.formatRange(starts * 1000, ends * 1000);
}

function names(booked: hub.Plan['rooms']): string {
  return booked.map(({ name }) => name).join(', ');
}

async function list() {
  const plans = await hub.plans();
  element('none').hidden = plans.length > 0;
  element('plans').replaceChildren(...plans.map((plan) => {
    const item = document.createElement('li');
    const title = document.createElement('strong');
    title.textContent = plan.title;
    const about = document.createElement('span');
    about.className = 'quiet';
    about.textContent = `${when(plan)}, room ${plan.room}${plan.e2ee ? ', encrypted' : ''}${plan.waiting_room ? ', waiting room' : ''}`
      + (plan.rooms.length > 0 ? `; booked: ${names(plan.rooms)}` : '');
    const cancel = document.createElement('button');
    cancel.type = 'button';
    cancel.textContent = 'Cancel';
    cancel.setAttribute('aria-label', `Cancel ${plan.title}`);
    cancel.addEventListener('click', () => {
      // A second press within some seconds means it.
      if (cancel.dataset.sure !== 'true') {
        cancel.dataset.sure = 'true';
        cancel.textContent = 'Really cancel it?';
        setTimeout(() => {
          delete cancel.dataset.sure;
          cancel.textContent = 'Cancel';
        }, 4000);
        return;
      }
      act(async () => {
        await hub.cancel(plan.room);
        if (element('made').dataset.room === plan.room) forget();
        await list();
      });
    });
    item.append(title, about, cancel);
    item.dataset.room = plan.room;
    return item;
  }));
}

/** What is shown of a meeting that was made; with another, or without anybody signed in, it is gone. */
function forget() {
  const made = element('made');
  made.hidden = true;
  delete made.dataset.room;
  for (const id of ['host-link', 'guest-link', 'invitation', 'booked']) element(id).textContent = '';
  element('code').replaceChildren();
  const calendar = element<HTMLAnchorElement>('calendar');
  if (calendar.href !== '') URL.revokeObjectURL(calendar.href);
  calendar.removeAttribute('href');
}

function draw(code: Planned['code']) {
  const place = element('code');
  element('code-part').hidden = code === null;
  if (code === null) return;
  const kind = 'http://www.w3.org/2000/svg';
  const image = document.createElementNS(kind, 'svg');
  image.setAttribute('viewBox', `0 0 ${code.size} ${code.size}`);
  image.setAttribute('role', 'img');
  image.setAttribute('aria-label', 'The guest link as a code for a camera');
  const ground = document.createElementNS(kind, 'rect');
  ground.setAttribute('width', '100%');
  ground.setAttribute('height', '100%');
  ground.setAttribute('class', 'ground');
  const dark = document.createElementNS(kind, 'path');
  dark.setAttribute('d', code.path);
  image.append(ground, dark);
  place.replaceChildren(image);
}

/** Makes a meeting here, tells the hub what it may know of it, and shows the rest. */
async function plan() {
  const value = (id: string) => element<HTMLInputElement>(id).value;
  const checked = (id: string) => element<HTMLInputElement>(id).checked;
  const starts = Math.floor(new Date(value('starts')).getTime() / 1000);
  if (!Number.isFinite(starts)) throw new Error('choose when the meeting begins');
  const chosen = rooms.chosen();
  forget();
  const made = await make({
    origin: location.origin,
    host: value('host').trim(),
    sealed: checked('sealed'),
    rooms: chosen,
    certificate: await hub.certificate(),
  });
  const kept = await hub.schedule({
    room: made.room,
    title: value('title'),
    starts,
    ends: starts + Number(value('length')) * 60,
    e2ee: checked('sealed'),
    meeting_key: made.meeting_key,
    waiting_room: checked('waiting-room'),
    rooms: made.rooms,
    ...(made.policy === null ? {} : { policy: JSON.parse(made.policy) }),
  });
  // The link stands wherever the hub wrote the address.
  const [invitation, calendar] = (await Promise.all([hub.text(made.room, 'invitation'), hub.text(made.room, 'calendar')]))
    .map((text) => text.split(kept.address).join(made.guest));
  element('made-title').textContent = kept.title;
  element('booked').hidden = kept.rooms.length === 0;
  element('booked').textContent = `Booked: ${names(kept.rooms)}. Each box shows the meeting, and joins as host when somebody there presses.`;
  element('made').dataset.room = made.room;
  element('host-link').textContent = made.host;
  element('guest-link').textContent = made.guest;
  element('invitation').textContent = invitation ?? '';
  const file = element<HTMLAnchorElement>('calendar');
  file.href = URL.createObjectURL(new Blob([calendar ?? ''], { type: 'text/calendar' }));
  file.download = `${made.room}.ics`;
  draw(made.code);
  element('made').hidden = false;
  element('made-title').focus();
  element<HTMLInputElement>('title').value = '';
  rooms.show(await hub.rooms());
  await list();
}

for (const button of document.querySelectorAll<HTMLButtonElement>('button[data-copies]')) {
  button.addEventListener('click', () => act(async () => {
    const text = element(button.dataset.copies ?? '').textContent ?? '';
    await navigator.clipboard.writeText(text).catch(() => {
      throw new Error('this browser does not let the page copy: select the text and copy it');
    });
    const label = button.textContent;
    button.textContent = 'Copied';
    setTimeout(() => {
      button.textContent = label;
    }, 2000);
  }));
}

element('sign-in').addEventListener('submit', (event) => {
  event.preventDefault();
  const password = element<HTMLInputElement>('password');
  const given = password.value;
  password.value = '';
  act(async () => {
    await hub.signIn(element<HTMLInputElement>('account').value, given);
    await open(await hub.me());
  });
});

element('plan').addEventListener('submit', (event) => {
  event.preventDefault();
  const button = element<HTMLButtonElement>('schedule');
  button.disabled = true;
  act(() => plan().finally(() => {
    button.disabled = false;
  }));
});

/** Often enough for somebody who looks from the box to this page. */
const LOOK = 3000;

/** Shows a code for a box, until it is over or a box has come with it. */
async function giveCode() {
  const certificate = await hub.certificate();
  const { code, expires } = await hub.boxCode();
  const before = (await hub.rooms()).length;
  element('enrol').textContent = `roomseal enrol --hub ${location.origin}`
    + (certificate === null ? '' : ` --certificate-sha256 ${certificate}`);
  element('code-ends').textContent = new Intl.DateTimeFormat(undefined, { timeStyle: 'short' }).format(expires * 1000);
  element('box-code').textContent = code;
  element('given').hidden = false;
  const isShown = () => element('box-code').textContent === code;
  while (isShown() && Date.now() < expires * 1000) {
    await new Promise((done) => setTimeout(done, LOOK));
    const now = await hub.rooms();
    if (now.length > before && isShown()) {
      rooms.show(now);
      break;
    }
  }
  if (isShown()) takeCode();
}

function takeCode() {
  element('given').hidden = true;
  element('box-code').textContent = '';
}

element('give-code').addEventListener('click', () => act(giveCode));

element('sign-out').addEventListener('click', () => act(async () => {
  await hub.signOut();
  askToSignIn();
}));

// The next full hour.
const next = new Date();
next.setHours(next.getHours() + 1, 0, 0, 0);
element<HTMLInputElement>('starts').value = local(next);
hub.me().then(open).catch((error) => {
  askToSignIn();
  if (!(error instanceof hub.NotSignedIn)) trouble(error);
});
