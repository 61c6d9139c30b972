/* Debian's libwbxml as a persistent process, for differential tests and as the benchmark's baseline.
 *
 * stdin:  requests  op(1) length(4, big-endian) octets
 * stdout: answers   status(1; 0 is success, else libwbxml's error) length(4, big-endian) octets
 *   'x'  WBXML in, compact XML out
 *   'w'  XML in, WBXML 1.2 out, no string table
 *   's'  XML in, WBXML 1.3 out, with a string table
 *   'X', 'W'  count(4, big-endian) and a document: the conversion of 'x' or 'w', count times in memory;
 *             out come the nanoseconds of processor time that it took (8, big-endian)
 * Ends at the end of its input. cc wbxml_helper.c -lwbxml2 (libwbxml2-dev); run by tests/libwbxml.rs.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <wbxml/wbxml.h>

static WBXMLError to_xml(uint8_t *in, uint32_t length, uint8_t **out, uint32_t *out_length)
{
    WBXMLConvWBXML2XML *conv = NULL;
    WB_UTINY *xml = NULL;
    WB_ULONG xml_length = 0;
    WBXMLError error = wbxml_conv_wbxml2xml_create(&conv);
    if (error != WBXML_OK)
        return error;
    wbxml_conv_wbxml2xml_set_gen_type(conv, WBXML_GEN_XML_COMPACT);
    wbxml_conv_wbxml2xml_enable_preserve_whitespaces(conv);
    error = wbxml_conv_wbxml2xml_run(conv, in, length, &xml, &xml_length);
    wbxml_conv_wbxml2xml_destroy(conv);
    *out = xml;
    *out_length = xml_length;
    return error;
}

static WBXMLError to_wbxml(uint8_t *in, uint32_t length, int with_table, uint8_t **out, uint32_t *out_length)
{
    WBXMLConvXML2WBXML *conv = NULL;
    WB_UTINY *wbxml = NULL;
    WB_ULONG wbxml_length = 0;
    WBXMLError error = wbxml_conv_xml2wbxml_create(&conv);
    if (error != WBXML_OK)
        return error;
    wbxml_conv_xml2wbxml_set_version(conv, with_table ? WBXML_VERSION_13 : WBXML_VERSION_12);
    wbxml_conv_xml2wbxml_enable_preserve_whitespaces(conv);
    if (!with_table)
        wbxml_conv_xml2wbxml_disable_string_table(conv);
    error = wbxml_conv_xml2wbxml_run(conv, in, length, &wbxml, &wbxml_length);
    wbxml_conv_xml2wbxml_destroy(conv);
    *out = wbxml;
    *out_length = wbxml_length;
    return error;
}

static WBXMLError convert(int op, uint8_t *in, uint32_t length, uint8_t **out, uint32_t *out_length)
{
    switch (op) {
    case 'x':
    case 'X':
        return to_xml(in, length, out, out_length);
    case 'w':
    case 'W':
        return to_wbxml(in, length, 0, out, out_length);
    case 's':
        return to_wbxml(in, length, 1, out, out_length);
    default:
        return WBXML_ERROR_BAD_PARAMETER;
    }
}

static uint32_t read_u32(const uint8_t *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static void answer(int status, const uint8_t *octets, uint32_t length)
{
    uint8_t head[5] = { (uint8_t)status, (uint8_t)(length >> 24), (uint8_t)(length >> 16), (uint8_t)(length >> 8), (uint8_t)length };
    fwrite(head, 1, sizeof head, stdout);
    fwrite(octets, 1, length, stdout);
    fflush(stdout);
}

static void batch(int op, uint8_t *in, uint32_t length)
{
    struct timespec begin, end;
    uint8_t nanoseconds[8];
    uint64_t taken;
    uint32_t count = length < 4 ? 0 : read_u32(in);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &begin);
    while (count-- > 0) {
        uint8_t *out = NULL;
        uint32_t out_length = 0;
        WBXMLError error = convert(op, in + 4, length - 4, &out, &out_length);
        free(out);
        if (error != WBXML_OK) {
            answer(error, NULL, 0);
            return;
        }
    }
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &end);
    taken = (uint64_t)(end.tv_sec - begin.tv_sec) * 1000000000u + (uint64_t)end.tv_nsec - (uint64_t)begin.tv_nsec;
    for (int at = 7; at >= 0; at--) {
        nanoseconds[at] = (uint8_t)taken;
        taken >>= 8;
    }
    answer(0, nanoseconds, sizeof nanoseconds);
}

int main(void)
{
    uint8_t head[5];
    while (fread(head, 1, sizeof head, stdin) == sizeof head) {
        uint32_t length = read_u32(head + 1), out_length = 0;
        uint8_t *in = calloc((size_t)length + 1, 1), *out = NULL;
        if (in == NULL || fread(in, 1, length, stdin) != length)
            return 1;
        if (head[0] == 'X' || head[0] == 'W') {
            batch(head[0], in, length);
        } else {
            WBXMLError error = convert(head[0], in, length, &out, &out_length);
            answer(error, out, error == WBXML_OK ? out_length : 0);
        }
        free(out);
        free(in);
    }
    return 0;
}
