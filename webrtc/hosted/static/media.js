/**
 * Microphones, their level, and the one peer connection.
 */

/** Candidates that are not found by then are not worth waiting for (a STUN server that does not answer). */
const GATHERING_LIMIT_MS = 3000;
/** An audio connection not made by then will not be made. */
const CONNECTING_LIMIT_MS = 20000;
const SILENCE_DBFS = -100;

/** Why there is no microphone: `code` is the stem of two sentences in strings.js. */
export class MicrophoneError extends Error {
  /** @param {string} code */
  constructor(code) {
    super(code);
    this.code = code;
  }
}

/**
 * Opens a microphone.
 *
 * `?processing=off` in the address switches the browser's echo cancellation, noise suppression and gain control
 * off: they would change the tones with which delay and level are measured.
 * @param {string} deviceId - of the wanted one; empty for the browser's choice.
 * @returns {Promise<MediaStream>}
 * @throws {MicrophoneError}
 */
export async function openMicrophone(deviceId) {
  if (!navigator.mediaDevices) throw new MicrophoneError("insecure");
  const processed = new URLSearchParams(location.search).get("processing") !== "off";
  const audio = {
    echoCancellation: processed,
    noiseSuppression: processed,
    autoGainControl: processed,
    ...(deviceId && { deviceId: { ideal: deviceId } }),
  };
  try {
    return await navigator.mediaDevices.getUserMedia({ audio });
  } catch (error) {
    throw new MicrophoneError(problemOf(error));
  }
}

/** The names are those of the W3C's Media Capture and Streams, section 10.2. */
function problemOf(error) {
  if (error.name === "NotAllowedError" || error.name === "SecurityError") return "microphoneDenied";
  if (error.name === "NotFoundError") return "microphoneMissing";
  return "microphoneBusy";
}

/**
 * The microphones there are; without labels until one of them was opened.
 * @returns {Promise<MediaDeviceInfo[]>}
 */
export async function listMicrophones() {
  const devices = (await navigator.mediaDevices?.enumerateDevices()) ?? [];
  return devices.filter((device) => device.kind === "audioinput");
}

/**
 * Whether the microphone may be opened without asking, so that its level can be shown at once.
 * @returns {Promise<boolean>}
 */
export async function microphoneIsAllowed() {
  try {
    const permission = await navigator.permissions.query({ name: /** @type {any} */ ("microphone") });
    return permission.state === "granted";
  } catch {
    return false; // a browser that does not know this permission will ask
  }
}

/** Measures the level of a stream until stopped. */
export class LevelMeasure {
  /** @param {MediaStream} stream */
  constructor(stream) {
    this.context = new AudioContext();
    this.analyser = this.context.createAnalyser();
    this.analyser.fftSize = 1024;
    this.samples = new Float32Array(this.analyser.fftSize);
    this.context.createMediaStreamSource(stream).connect(this.analyser);
  }

  /** @returns {number} dBFS RMS of the last 21 ms (at 48 kHz). */
  measure() {
    this.analyser.getFloatTimeDomainData(this.samples);
    const power = this.samples.reduce((sum, sample) => sum + sample * sample, 0) / this.samples.length;
    return power > 0 ? Math.max(10 * Math.log10(power), SILENCE_DBFS) : SILENCE_DBFS;
  }

  /** Browsers may keep it suspended until the page is clicked. */
  resume() {
    if (this.context.state === "suspended") this.context.resume();
  }

  stop() {
    this.context.close();
  }
}

/** The audio connection to the room: our microphone up, our own mix down, and the interpreter's signed records. */
export class Call {
  /**
   * @param {RTCIceServer[]} iceServers
   * @param {MediaStreamTrack | null} track - our microphone's; null to send silence until `replaceTrack`.
   * @param {object} events
   * @param {(state: "connected" | "unstable" | "failed") => void} events.onState
   * @param {(stream: MediaStream) => void} events.onStream - what we are to hear.
   * @param {(line: string) => void} events.onAttestation - a signed record.
   */
  constructor(iceServers, track, { onState, onStream, onAttestation }) {
    this.peer = new RTCPeerConnection({ iceServers });
    this.sender = this.peer.addTransceiver(track ?? "audio", { direction: "sendrecv" }).sender;
    this.peer.addEventListener("track", (event) => onStream(new MediaStream([event.track])));
    this.peer.createDataChannel("attestation").addEventListener("message", (event) => onAttestation(event.data));
    this.limit = setTimeout(() => onState("failed"), CONNECTING_LIMIT_MS);
    this.peer.addEventListener("connectionstatechange", () => {
      const state = this.peer.connectionState;
      if (state === "connected" || state === "failed") clearTimeout(this.limit);
      if (state === "connected" || state === "failed") onState(state);
      if (state === "disconnected") onState("unstable");
    });
  }

  /**
   * Our offer with every candidate in it: the server takes none later.
   * @returns {Promise<string>} SDP.
   */
  async offer() {
    await this.peer.setLocalDescription();
    await this.gathered();
    return this.peer.localDescription.sdp;
  }

  /** @returns {Promise<void>} */
  gathered() {
    return new Promise((resolve) => {
      const check = () => this.peer.iceGatheringState === "complete" && resolve();
      this.peer.addEventListener("icegatheringstatechange", check);
      setTimeout(resolve, GATHERING_LIMIT_MS);
      check();
    });
  }

  /** @param {string} sdp */
  async accept(sdp) {
    await this.peer.setRemoteDescription({ type: "answer", sdp });
  }

  /** @param {MediaStreamTrack} track */
  async replaceTrack(track) {
    await this.sender.replaceTrack(track);
  }

  /** @returns {Promise<object[]>} the entries of getStats, as plain objects. */
  async stats() {
    const report = await this.peer.getStats();
    return Array.from(report.values(), (entry) => ({ ...entry }));
  }

  close() {
    clearTimeout(this.limit);
    this.peer.close();
  }
}
