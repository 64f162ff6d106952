import { UserError } from "../../graph-builder/errors.ts";
import { find } from "./dom.ts";
import type { Messages } from "./messages.ts";
import { Picture } from "./pictures.ts";

const reasons: Readonly<Record<string, string>> = {
  NotAllowedError: "The page may not use the camera: allow it in the browser's settings.",
  NotFoundError: "No camera was found.",
  NotReadableError: "Another program uses the camera.",
};

/** Connects the dialog in which the user takes a picture with the camera. */
export function connectCamera(messages: Messages, take: (picture: Picture) => void): void {
  const dialog = find("camera", HTMLDialogElement);
  const video = find("camera-video", HTMLVideoElement);
  find("open-camera", HTMLButtonElement).addEventListener("click", () =>
    messages.guard(async () => {
      const stream = await openCamera();
      // a second click, before the first one has opened the camera, has opened it again
      if (dialog.open) {
        stopCamera(stream);
        return;
      }
      video.srcObject = stream;
      dialog.showModal();
      // it rejects where the dialog is closed at once
      await video.play().catch(() => undefined);
    }),
  );
  find("take-picture", HTMLButtonElement).addEventListener("click", () => {
    if (video.videoWidth > 0) {
      take(Picture.ofImage("camera", video, video.videoWidth, video.videoHeight));
    }
    dialog.close();
  });
  find("close-camera", HTMLButtonElement).addEventListener("click", () => dialog.close());
  dialog.addEventListener("close", () => {
    const stream = video.srcObject;
    if (stream instanceof MediaStream) stopCamera(stream);
    video.srcObject = null;
  });
}

/** Turns a camera off. */
export function stopCamera(stream: MediaStream): void {
  for (const track of stream.getTracks()) track.stop();
}

/** Opens a camera. Throws UserError with the reason where there is none or the user refuses it. */
export async function openCamera(): Promise<MediaStream> {
  if (!("mediaDevices" in navigator)) {
    throw new UserError("A page can use the camera only over https or on localhost.", {
      code: "browser-unsupported",
    });
  }
  try {
    return await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    throw new UserError(reasons[error.name] ?? `The camera could not be opened: ${error.message}.`, {
      code: "camera-refused",
    });
  }
}
