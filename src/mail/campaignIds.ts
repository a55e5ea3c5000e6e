/** A campaign's front matter without the rest: whose it is, and which other file claims to be the same campaign. */
import * as path from "node:path";
import { parseCampaign, type Campaign } from "./campaign";
import { decodeText } from "./decode";
import { diskFiles, FileError, stampOf, type Files } from "./files";

/** The campaign as its file is written, nothing that it names opened. Throws `FileError`. */
export async function readCampaign(files: Files, file: string): Promise<Campaign> {
  const bytes = await files.read(file);
  const { value: text = "" } = decodeText(bytes, file, "auto");
  return parseCampaign(text, file).value;
}

/** Ids of campaigns by file, read again only when a file has changed. */
export class CampaignIds {
  private readonly known = new Map<string, { readonly stamp: string; readonly id: string | undefined }>();

  /** The id in the campaign `file`, or undefined when it has none or cannot be read. */
  async idOf(file: string): Promise<string | undefined> {
    try {
      const files = await diskFiles(path.dirname(file));
      const stamp = await stampOf(files, file);
      const known = this.known.get(file);
      if (known?.stamp === stamp) return known.id;
      const { id } = await readCampaign(files, file);
      this.known.set(file, { stamp, id });
      return id;
    } catch (error) {
      if (error instanceof FileError) return undefined;
      throw error;
    }
  }

  /** Id → path of each of `files` that has one. */
  async among(files: readonly string[]): Promise<ReadonlyMap<string, string>> {
    const ids = new Map<string, string>();
    for (const file of files) {
      const id = await this.idOf(file);
      if (id !== undefined) ids.set(id, file);
    }
    return ids;
  }
}
