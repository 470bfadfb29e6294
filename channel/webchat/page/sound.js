// The sound at each agent's message.
const key = "webchat muted";
const muted = () => localStorage.getItem(key) === "yes";

// control makes a button switch the sound on and off.
export function control(button) {
  const show = () => button.setAttribute("aria-pressed", String(!muted()));
  button.onclick = () => { localStorage.setItem(key, muted() ? "no" : "yes"); show(); };
  show();
}

let audio;
export function ding() {
  if (muted() || navigator.userActivation?.hasBeenActive === false) return; // browsers forbid it before a first click
  audio ??= new AudioContext();
  const start = audio.currentTime, tone = audio.createOscillator(), volume = audio.createGain();
  tone.frequency.setValueAtTime(660, start);
  tone.frequency.setValueAtTime(880, start + 0.09);
  volume.gain.setValueAtTime(0.12, start);
  volume.gain.exponentialRampToValueAtTime(0.001, start + 0.35);
  tone.connect(volume).connect(audio.destination);
  tone.start();
  tone.stop(start + 0.35);
}
