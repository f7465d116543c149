// People in a Janus VideoRoom: publish a microphone, or listen to everybody by their names. By the book of the Janus API.
const VOICE = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };

const gathered = async (connection) => {
  while (connection.iceGatheringState !== "complete") {
    await new Promise((done) => connection.addEventListener("icegatheringstatechange", done, { once: true }));
  }
  return { type: connection.localDescription.type, sdp: connection.localDescription.sdp };
};

/** One WebSocket with one session, and its requests. */
class Session {
  #socket;
  #answers = new Map();
  #number = 0;
  #id;
  told = () => {};

  static async open(url) {
    const session = new Session();
    session.#socket = new WebSocket(url, "janus-protocol");
    await new Promise((done, failed) => {
      session.#socket.onopen = done;
      session.#socket.onerror = failed;
    });
    session.#socket.onmessage = ({ data }) => session.#take(JSON.parse(data));
    session.#id = (await session.#ask({ janus: "create" })).data.id;
    setInterval(() => session.#ask({ janus: "keepalive" }), 25000);
    return session;
  }

  async attach() {
    return (await this.#ask({ janus: "attach", plugin: "janus.plugin.videoroom" })).data.id;
  }

  message(handle_id, body, jsep) {
    return this.#ask({ janus: "message", handle_id, body, ...(jsep && { jsep }) });
  }

  #ask(request) {
    const transaction = String((this.#number += 1));
    this.#socket.send(JSON.stringify({ ...request, transaction, ...(this.#id && { session_id: this.#id }) }));
    return new Promise((done, failed) => this.#answers.set(transaction, [done, failed]));
  }

  #take(message) {
    if (message.janus === "ack") return;
    const answer = this.#answers.get(message.transaction);
    if (!answer) return this.told(message);
    this.#answers.delete(message.transaction);
    const data = message.plugindata?.data;
    const error = message.error?.reason ?? data?.error;
    if (error) answer[1](new Error(error));
    else answer[0](message);
  }
}

/** Somebody who speaks. */
export class Speaker {
  static async join(url, room, display) {
    const speaker = new Speaker();
    speaker.session = await Session.open(url);
    speaker.handle = await speaker.session.attach();
    await speaker.session.message(speaker.handle, { request: "join", ptype: "publisher", room, display });
    return speaker;
  }

  async publish() {
    const [track] = (await navigator.mediaDevices.getUserMedia({ audio: VOICE })).getAudioTracks();
    const connection = (this.connection = new RTCPeerConnection());
    connection.addTransceiver(track, { direction: "sendonly" });
    await connection.setLocalDescription();
    const jsep = await gathered(connection);
    const answer = await this.session.message(this.handle, { request: "publish", audio: true, video: false }, jsep);
    await connection.setRemoteDescription(answer.jsep);
  }

  async unpublish() {
    await this.session.message(this.handle, { request: "unpublish" });
    this.connection.close();
  }
}

/** Somebody who only listens: every feed by a connection of its own, its track in `testHooks.tracks` by name. */
export class Listener {
  static async open(url, room) {
    const listener = new Listener();
    listener.room = room;
    listener.session = await Session.open(url);
    listener.handle = await listener.session.attach();
    return listener;
  }

  async hear(display) {
    let feed;
    while (!feed) {
      const listed = await this.session.message(this.handle, { request: "listparticipants", room: this.room });
      feed = listed.plugindata.data.participants.find((one) => one.display === display && one.publisher);
      if (!feed) await new Promise((done) => setTimeout(done, 200));
    }
    const handle = await this.session.attach();
    const streams = [{ feed: feed.id }];
    const offered = await this.session.message(handle, { request: "join", ptype: "subscriber", room: this.room, streams });
    const connection = new RTCPeerConnection();
    connection.addEventListener("track", ({ track }) => {
      const element = new Audio(); // a remote track that no element plays gives no sound to anything else either
      element.srcObject = new MediaStream([track]);
      element.play();
      window.testHooks.tracks[display] = track;
    });
    await connection.setRemoteDescription(offered.jsep);
    await connection.setLocalDescription();
    await this.session.message(handle, { request: "start" }, await gathered(connection));
  }
}
