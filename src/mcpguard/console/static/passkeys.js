// What a browser does with passkeys (WebAuthn): it signs one approval, or makes a new one. Without a script neither works.
"use strict";

(() => {
  const bytes = (text) => Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (one) => one.charCodeAt(0));
  const text = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer))).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");

  async function asked(address, form) {
    const answer = await fetch(address, { method: "POST", body: new URLSearchParams(new FormData(form)), credentials: "same-origin", redirect: "error" });
    const found = await answer.json();
    if (found.problem) throw new Error(found.problem);
    return found;
  }

  function say(form, problem) {
    const place = form.querySelector("[data-problem]");
    place.textContent = problem;
    place.hidden = !problem;
    delete form.dataset.sent; // It may be tried again.
  }

  function why(problem) {
    if (problem.name === "NotAllowedError") return "The passkey was not confirmed.";
    if (problem.name === "InvalidStateError") return "This device has a passkey for that already.";
    if (problem.name === "SecurityError") return "Passkeys work under localhost only: open the console by its link.";
    return problem.message || "The browser has no passkey for this.";
  }

  async function signed(form) {
    const { options, until } = await asked(form.dataset.challenge, form);
    const allowCredentials = options.allowCredentials.map((one) => ({ ...one, id: bytes(one.id) }));
    const publicKey = { ...options, challenge: bytes(options.challenge), allowCredentials };
    const made = await navigator.credentials.get({ publicKey });
    const response = {
      clientDataJSON: text(made.response.clientDataJSON),
      authenticatorData: text(made.response.authenticatorData),
      signature: text(made.response.signature),
    };
    form.elements.assertion.value = JSON.stringify({ id: made.id, rawId: text(made.rawId), type: made.type, response });
    form.elements.until.value = String(until);
  }

  async function enrolled(form) {
    const { options } = await asked(form.dataset.begin, form);
    const publicKey = { ...options, challenge: bytes(options.challenge), user: { ...options.user, id: bytes(options.user.id) } };
    const made = await navigator.credentials.create({ publicKey });
    const response = { clientDataJSON: text(made.response.clientDataJSON), attestationObject: text(made.response.attestationObject) };
    form.elements.made.value = JSON.stringify({ id: made.id, rawId: text(made.rawId), type: made.type, response });
  }

  document.addEventListener("submit", (event) => {
    const form = event.target;
    const work = form.dataset.challenge ? signed : form.dataset.begin ? enrolled : null;
    const field = work === signed ? form.elements.assertion : work && form.elements.made;
    if (!work || event.defaultPrevented || field.value) return;
    event.preventDefault();
    say(form, "");
    if (!window.PublicKeyCredential) return say(form, "This browser does not support passkeys.");
    work(form).then(() => form.submit(), (problem) => say(form, why(problem)));
  });
})();
