// SPDX-License-Identifier: MIT OR Apache-2.0
// Runs before anything else is even fetched: what is secret in the address leaves it, and is given out once.
{
  let link = location.href;
  history.replaceState(null, '', location.pathname);
  window.takeLink = () => {
    const taken = link;
    link = '';
    return taken;
  };
}
