// Seals what control says and opens it again. One seal is one opaque run of bytes.

export interface Signer {
  readonly keyId: string;
  seal(payload: Uint8Array): Promise<Uint8Array>;
}

export interface Verifier {
  /**
   * The payload, if a trusted key signed exactly these bytes. Throws ERR_SIGNATURE_INVALID, ERR_SIGNATURE_KEY_UNKNOWN,
   * ERR_MESSAGE_MALFORMED or ERR_MESSAGE_TOO_LARGE (also for what decompresses to more than the cap).
   */
  open(sealed: Uint8Array): Promise<Uint8Array>;
}
