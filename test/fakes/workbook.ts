/** A workbook as Excel saves one, made of cells. */
import { strFromU8, strToU8, unzipSync, zipSync } from "fflate";

/** A workbook of two rows with one more cell at `place`, or with this size in its sheet's words. */
export function distantCell(place: string | undefined, dimension = ""): Buffer {
  const archive = unzipSync(workbook([["email"], ["ada@example.com"]]));
  const name = "xl/worksheets/sheet1.xml";
  const row = /\d+$/.exec(place ?? "")?.[0] ?? "";
  const cell = `<row r="${row}"><c r="${place ?? ""}" t="inlineStr"><is><t>x</t></is></c></row>`;
  const sheet = strFromU8(archive[name] ?? new Uint8Array())
    .replace("<sheetData>", `${dimension === "" ? "" : `<dimension ref="${dimension}"/>`}<sheetData>`)
    .replace("</sheetData>", `${place === undefined ? "" : cell}</sheetData>`);
  return Buffer.from(zipSync({ ...archive, [name]: strToU8(sheet) }));
}

/** A cell: a text, a number as it is saved, a date as days since 1899-12-30, or nothing. */
export type WorkbookCell = string | { readonly number: string } | { readonly date: number } | undefined;

/** The bytes of an .xlsx with one sheet; `more` adds files to its archive. */
export function workbook(
  rows: readonly (readonly WorkbookCell[])[],
  more: Readonly<Record<string, Uint8Array>> = {},
): Buffer {
  const cell = (value: WorkbookCell, row: number, column: number): string => {
    const place = `r="${String.fromCharCode(65 + column)}${String(row + 1)}"`;
    if (value === undefined) return "";
    if (typeof value === "string")
      return `<c ${place} t="inlineStr"><is><t xml:space="preserve">${escape(value)}</t></is></c>`;
    return "date" in value
      ? `<c ${place} s="1"><v>${String(value.date)}</v></c>`
      : `<c ${place}><v>${value.number}</v></c>`;
  };
  const sheet = rows
    .map(
      (cells, row) =>
        `<row r="${String(row + 1)}">${cells.map((value, column) => cell(value, row, column)).join("")}</row>`,
    )
    .join("");
  const main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main";
  const relations = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";
  const files: Readonly<Record<string, string>> = {
    "[Content_Types].xml":
      '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"><Default Extension="xml" ContentType="application/xml"/></Types>',
    "xl/workbook.xml": `<workbook xmlns="${main}" xmlns:r="${relations}"><sheets><sheet name="People" sheetId="1" r:id="rId1"/></sheets></workbook>`,
    "xl/_rels/workbook.xml.rels": `<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="rId1" Type="${relations}/worksheet" Target="worksheets/sheet1.xml"/><Relationship Id="rId2" Type="${relations}/styles" Target="styles.xml"/></Relationships>`,
    "xl/styles.xml": `<styleSheet xmlns="${main}"><cellStyleXfs count="1"><xf numFmtId="0"/></cellStyleXfs><cellXfs count="2"><xf numFmtId="0" xfId="0"/><xf numFmtId="14" xfId="0" applyNumberFormat="1"/></cellXfs></styleSheet>`,
    "xl/worksheets/sheet1.xml": `<worksheet xmlns="${main}"><sheetData>${sheet}</sheetData></worksheet>`,
  };
  const packed = Object.fromEntries(Object.entries(files).map(([name, text]) => [name, strToU8(text)]));
  return Buffer.from(zipSync({ ...packed, ...more }));
}

function escape(text: string): string {
  return text.replace(/&/g, "&amp;").replace(/</g, "&lt;");
}
