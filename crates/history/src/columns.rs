//! Parquet files as whole columns: one row group, Snappy, read back only when the schema is exactly the expected one.

use bytes::Bytes;
use parquet::basic::{Compression, Type};
use parquet::column::reader::get_typed_column_reader;
use parquet::data_type::{
    BoolType, ByteArray, ByteArrayType, DataType, DoubleType, FloatType, Int32Type, Int64Type,
};
use parquet::errors::{ParquetError, Result};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::parser::parse_message_type;
use parquet::schema::types::SchemaDescriptor;
use std::sync::Arc;

/// One column with its values; the kinds are those that the store's schema uses.
pub(crate) enum Column {
    /// Text, in every row.
    Text(Vec<ByteArray>),
    /// Text in some rows.
    MaybeText(Vec<Option<ByteArray>>),
    /// Whole numbers of 32 bits, in every row; unsigned ones keep their bits.
    Int(Vec<i32>),
    /// Whole numbers of 32 bits in some rows.
    MaybeInt(Vec<Option<i32>>),
    /// Whole numbers of 64 bits, in every row.
    Long(Vec<i64>),
    /// Whole numbers of 64 bits in some rows.
    MaybeLong(Vec<Option<i64>>),
    /// Yes or no, in every row.
    Flag(Vec<bool>),
    /// Floats of 32 bits, in every row.
    Float(Vec<f32>),
    /// Floats of 64 bits in some rows.
    MaybeDouble(Vec<Option<f64>>),
    /// A list of 32-bit floats per row.
    Floats(Vec<Vec<f32>>),
    /// A list of 64-bit floats per row.
    Doubles(Vec<Vec<f64>>),
}

/// The bytes of a Parquet file with these columns, in the order of the schema.
pub(crate) fn write(schema: &str, columns: Vec<Column>) -> Result<Vec<u8>> {
    let properties = WriterProperties::builder()
        .set_compression(Compression::SNAPPY)
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_created_by("haggle".to_owned())
        .build();
    let schema = Arc::new(parse_message_type(schema)?);
    let mut writer = SerializedFileWriter::new(Vec::new(), schema, Arc::new(properties))?;
    let mut group = writer.next_row_group()?;
    for column in columns {
        column.write(&mut group)?;
    }
    group.close()?;
    writer.into_inner()
}

impl Column {
    fn write(self, group: &mut SerializedRowGroupWriter<'_, Vec<u8>>) -> Result<()> {
        match self {
            Self::Text(values) => put::<ByteArrayType>(group, &values, None, None),
            Self::MaybeText(values) => put_some::<ByteArrayType>(group, values),
            Self::Int(values) => put::<Int32Type>(group, &values, None, None),
            Self::MaybeInt(values) => put_some::<Int32Type>(group, values),
            Self::Long(values) => put::<Int64Type>(group, &values, None, None),
            Self::MaybeLong(values) => put_some::<Int64Type>(group, values),
            Self::Flag(values) => put::<BoolType>(group, &values, None, None),
            Self::Float(values) => put::<FloatType>(group, &values, None, None),
            Self::MaybeDouble(values) => put_some::<DoubleType>(group, values),
            Self::Floats(values) => put_lists::<FloatType>(group, &values),
            Self::Doubles(values) => put_lists::<DoubleType>(group, &values),
        }
    }
}

fn put<T: DataType>(
    group: &mut SerializedRowGroupWriter<'_, Vec<u8>>,
    values: &[T::T],
    defined: Option<&[i16]>,
    repeated: Option<&[i16]>,
) -> Result<()> {
    let Some(mut column) = group.next_column()? else {
        return Err(ParquetError::General(
            "more columns than the schema has".to_owned(),
        ));
    };
    column.typed::<T>().write_batch(values, defined, repeated)?;
    column.close()
}

fn put_some<T: DataType>(
    group: &mut SerializedRowGroupWriter<'_, Vec<u8>>,
    values: Vec<Option<T::T>>,
) -> Result<()> {
    let defined: Vec<i16> = values.iter().map(|value| i16::from(value.is_some())).collect();
    let values: Vec<T::T> = values.into_iter().flatten().collect();
    put::<T>(group, &values, Some(&defined), None)
}

/// A repeated column: definition 0 is an empty list; repetition 1 continues the list of the row.
fn put_lists<T: DataType>(
    group: &mut SerializedRowGroupWriter<'_, Vec<u8>>,
    lists: &[Vec<T::T>],
) -> Result<()> {
    let (mut defined, mut repeated) = (Vec::new(), Vec::new());
    for list in lists {
        defined.push(i16::from(!list.is_empty()));
        repeated.push(0);
        for _ in 1..list.len() {
            defined.push(1);
            repeated.push(1);
        }
    }
    put::<T>(group, &lists.concat(), Some(&defined), Some(&repeated))
}

/// Name, kind and nesting of each column: what a typed reader relies on.
fn shape(schema: &SchemaDescriptor) -> Vec<(&str, Type, i16, i16)> {
    let columns = schema.columns().iter();
    columns
        .map(|column| {
            let levels = (column.max_def_level(), column.max_rep_level());
            (column.name(), column.physical_type(), levels.0, levels.1)
        })
        .collect()
}

/// Values, definition levels, repetition levels of a column.
type Levelled<T> = (Vec<T>, Vec<i16>, Vec<i16>);

/// A Parquet file of the expected schema.
pub(crate) struct Columns {
    file: SerializedFileReader<Bytes>,
    /// Number of rows.
    pub(crate) rows: usize,
}

impl Columns {
    /// Opens the bytes of a file and compares its schema with `schema`.
    pub(crate) fn open(bytes: Vec<u8>, schema: &str) -> Result<Self> {
        let file = SerializedFileReader::new(Bytes::from(bytes))?;
        let described = file.metadata().file_metadata();
        let expected = SchemaDescriptor::new(Arc::new(parse_message_type(schema)?));
        if shape(described.schema_descr()) != shape(&expected) {
            return Err(ParquetError::General(
                "its columns are not those of this store version".to_owned(),
            ));
        }
        let rows = usize::try_from(described.num_rows())
            .map_err(|_| ParquetError::General("a negative number of rows".to_owned()))?;
        Ok(Self { file, rows })
    }

    /// A column of text.
    pub(crate) fn text(&self, name: &str) -> Result<Vec<ByteArray>> {
        Ok(self.read::<ByteArrayType>(name)?.0)
    }

    /// A column of text with gaps.
    pub(crate) fn maybe_text(&self, name: &str) -> Result<Vec<Option<ByteArray>>> {
        self.some::<ByteArrayType>(name)
    }

    /// A column of 32-bit whole numbers.
    pub(crate) fn ints(&self, name: &str) -> Result<Vec<i32>> {
        Ok(self.read::<Int32Type>(name)?.0)
    }

    /// A column of 32-bit whole numbers with gaps.
    pub(crate) fn maybe_ints(&self, name: &str) -> Result<Vec<Option<i32>>> {
        self.some::<Int32Type>(name)
    }

    /// A column of 64-bit whole numbers.
    pub(crate) fn longs(&self, name: &str) -> Result<Vec<i64>> {
        Ok(self.read::<Int64Type>(name)?.0)
    }

    /// A column of 64-bit whole numbers with gaps.
    pub(crate) fn maybe_longs(&self, name: &str) -> Result<Vec<Option<i64>>> {
        self.some::<Int64Type>(name)
    }

    /// A column of yes and no.
    pub(crate) fn flags(&self, name: &str) -> Result<Vec<bool>> {
        Ok(self.read::<BoolType>(name)?.0)
    }

    /// A column of 32-bit floats.
    pub(crate) fn floats(&self, name: &str) -> Result<Vec<f32>> {
        Ok(self.read::<FloatType>(name)?.0)
    }

    /// A column of lists of 32-bit floats.
    pub(crate) fn float_lists(&self, name: &str) -> Result<Vec<Vec<f32>>> {
        self.lists::<FloatType>(name)
    }

    /// A column of lists of 64-bit floats.
    pub(crate) fn double_lists(&self, name: &str) -> Result<Vec<Vec<f64>>> {
        self.lists::<DoubleType>(name)
    }

    fn some<T: DataType>(&self, name: &str) -> Result<Vec<Option<T::T>>> {
        let (values, defined, _) = self.read::<T>(name)?;
        let mut values = values.into_iter();
        let next = |defined: i16| if defined == 1 { values.next() } else { None };
        Ok(defined.into_iter().map(next).collect())
    }

    fn lists<T: DataType>(&self, name: &str) -> Result<Vec<Vec<T::T>>> {
        let (values, defined, repeated) = self.read::<T>(name)?;
        let mut values = values.into_iter();
        let mut lists: Vec<Vec<T::T>> = Vec::with_capacity(self.rows);
        for (defined, repeated) in defined.into_iter().zip(repeated) {
            if repeated == 0 {
                lists.push(Vec::new());
            }
            if let (1, Some(list)) = (defined, lists.last_mut()) {
                list.extend(values.next());
            }
        }
        Ok(lists)
    }

    /// A column over all row groups.
    fn read<T: DataType>(&self, name: &str) -> Result<Levelled<T::T>> {
        let (mut values, mut defined, mut repeated) = (Vec::new(), Vec::new(), Vec::new());
        let schema = self.file.metadata().file_metadata().schema_descr();
        let place = schema.columns().iter().position(|column| column.name() == name);
        let place = place.ok_or_else(|| ParquetError::General(format!("no column `{name}`")))?;
        for group in 0..self.file.num_row_groups() {
            let group = self.file.get_row_group(group)?;
            let mut reader = get_typed_column_reader::<T>(group.get_column_reader(place)?);
            let rows = self.rows;
            reader.read_records(rows, Some(&mut defined), Some(&mut repeated), &mut values)?;
        }
        Ok((values, defined, repeated))
    }
}

/// The text of a cell.
pub(crate) fn text(bytes: &ByteArray) -> Result<String> {
    bytes.as_utf8().map(str::to_owned)
}
