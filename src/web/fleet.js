// Puts the parts of the page that the server sends into their places. The server has escaped them.
"use strict";

const told = document.getElementById("live");
const stream = new EventSource("/api/live");

stream.onopen = () => { told.textContent = "live"; told.className = "on"; };
stream.onerror = () => { told.textContent = "this process does not answer"; told.className = "off"; };
stream.onmessage = (message) => {
  for (const [part, text] of Object.entries(JSON.parse(message.data))) {
    const place = document.getElementById(part);
    if (place) place.innerHTML = text;
  }
};
