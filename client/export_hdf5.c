/* SPDX-License-Identifier: MIT */
#include "export_hdf5.h"

#include <errno.h>
#include <hdf5.h>
#include <math.h>
#include <stdlib.h>

#include "number.h"

export_hdf5_function energat_export_hdf5;

static hid_t string_type(void)
{
        hid_t type = H5Tcopy(H5T_C_S1);

        H5Tset_size(type, H5T_VARIABLE);
        H5Tset_cset(type, H5T_CSET_UTF8);
        return type;
}

static int put_attribute(hid_t object, const char *name, hid_t type, const void *value)
{
        hid_t space = H5Screate(H5S_SCALAR);
        hid_t attribute = H5Acreate2(object, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
        int failed = attribute < 0 || H5Awrite(attribute, type, value) < 0;

        if (attribute >= 0)
                H5Aclose(attribute);
        H5Sclose(space);
        return failed ? -EIO : 0;
}

static int put_number(hid_t object, const char *name, const json_t *value)
{
        double x = number_of(value);

        return put_attribute(object, name, H5T_NATIVE_DOUBLE, &x);
}

static int put_string(hid_t object, const char *name, const json_t *value)
{
        const char *s = json_is_string(value) ? json_string_value(value) : "";
        hid_t type = string_type();
        int r = put_attribute(object, name, type, &s);

        H5Tclose(type);
        return r;
}

static int put_dataset(hid_t group, const char *name, hid_t type, int rank, const hsize_t *sizes,
                       const void *values)
{
        hid_t space = H5Screate_simple(rank, sizes, NULL);
        hid_t set = H5Dcreate2(group, name, type, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
        int failed = set < 0 || H5Dwrite(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) < 0;

        if (set >= 0)
                H5Dclose(set);
        H5Sclose(space);
        return failed ? -EIO : 0;
}

/* values[i] is list[i], or list[i].key */
static int put_numbers(hid_t group, const char *name, const json_t *list, const char *key)
{
        hsize_t count = json_array_size(list);
        double *values = calloc(count ? count : 1, sizeof(*values));
        const json_t *item;
        size_t i;
        int r;

        if (!values)
                return -ENOMEM;
        json_array_foreach(list, i, item)
                values[i] = number_of(key ? json_object_get(item, key) : item);
        r = put_dataset(group, name, H5T_NATIVE_DOUBLE, 1, &count, values);
        free(values);
        return r;
}

static int put_strings(hid_t group, const char *name, const json_t *list, const char *key)
{
        hsize_t count = json_array_size(list);
        const char **values = calloc(count ? count : 1, sizeof(*values));
        hid_t type = string_type();
        const json_t *item;
        size_t i;
        int r = -ENOMEM;

        json_array_foreach(list, i, item)
        {
                const char *s = json_string_value(json_object_get(item, key));

                if (values)
                        values[i] = s ? s : "";
        }
        if (values)
                r = put_dataset(group, name, type, 1, &count, values);
        free(values);
        H5Tclose(type);
        return r;
}

static int put_watts(hid_t group, const json_t *series)
{
        hsize_t sizes[2] = {json_array_size(series), 0};
        const json_t *one, *value;
        double *watts;
        size_t i, j;
        int r;

        sizes[1] = json_array_size(json_object_get(json_array_get(series, 0), "watts"));
        watts = calloc(sizes[0] * sizes[1] + 1, sizeof(*watts));
        if (!watts)
                return -ENOMEM;
        json_array_foreach(series, i, one)
        {
                json_array_foreach(json_object_get(one, "watts"), j, value)
                {
                        if (j < sizes[1])
                                watts[i * sizes[1] + j] = number_of(value);
                }
        }
        r = put_dataset(group, "watts", H5T_NATIVE_DOUBLE, 2, sizes, watts);
        free(watts);
        return r;
}

static int put_root(hid_t file, const json_t *d)
{
        static const char *const strings[] = {"name", "kind", "host", "source", "energat"};
        static const char *const numbers[] = {"begin", "duration_s", "interval_s"};
        unsigned char estimated = json_is_true(json_object_get(d, "estimated"));
        int r = put_attribute(file, "estimated", H5T_NATIVE_UCHAR, &estimated);

        for (size_t i = 0; r == 0 && i < sizeof(strings) / sizeof(strings[0]); i++)
                r = put_string(file, strings[i], json_object_get(d, strings[i]));
        for (size_t i = 0; r == 0 && i < sizeof(numbers) / sizeof(numbers[0]); i++)
                r = put_number(file, numbers[i], json_object_get(d, numbers[i]));
        return r;
}

static int put_power(hid_t group, const json_t *power)
{
        const json_t *series = json_object_get(power, "series");
        int r = put_number(group, "begin", json_object_get(power, "begin"));

        if (r == 0)
                r = put_number(group, "step_s", json_object_get(power, "step_s"));
        if (r == 0)
                r = put_strings(group, "names", series, "name");
        return r < 0 ? r : put_watts(group, series);
}

static int put_programs(hid_t group, const json_t *programs)
{
        static const char *const strings[] = {"comm", "user"};
        static const char *const numbers[] = {"processes", "cpu_s", "package_j", "dram_j"};
        int r = 0;

        for (size_t i = 0; r == 0 && i < sizeof(strings) / sizeof(strings[0]); i++)
                r = put_strings(group, strings[i], programs, strings[i]);
        for (size_t i = 0; r == 0 && i < sizeof(numbers) / sizeof(numbers[0]); i++)
                r = put_numbers(group, numbers[i], programs, numbers[i]);
        return r;
}

static int put_columns(hid_t group, const json_t *columns)
{
        const json_t *column;
        const char *name;
        int r = 0;

        json_object_foreach((json_t *)columns, name, column)
        {
                if (r == 0)
                        r = put_numbers(group, name, column, NULL);
        }
        return r;
}

static int in_group(hid_t file, const char *name, const json_t *value,
                    int (*put)(hid_t group, const json_t *value))
{
        hid_t group = H5Gcreate2(file, name, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
        int r;

        if (group < 0)
                return -EIO;
        r = put(group, value);
        H5Gclose(group);
        return r;
}

int energat_export_hdf5(const char *path, const json_t *document, const json_t *columns)
{
        hid_t file = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
        int r;

        if (file < 0)
                return -EIO;
        r = put_root(file, document);
        if (r == 0)
                r = in_group(file, "intervals", columns, put_columns);
        if (r == 0)
                r = in_group(file, "power", json_object_get(document, "power"), put_power);
        if (r == 0)
                r = in_group(file, "programs", json_object_get(document, "programs"), put_programs);
        if (H5Fclose(file) < 0 && r == 0)
                r = -EIO;
        return r;
}
